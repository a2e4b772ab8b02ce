-- A role that may read the table of the source, and nothing else.
-- Run it as the owner of the table, or as an administrator, in the database of the source.
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {role_text}) THEN
    CREATE ROLE {role} LOGIN;
  END IF;
END $$;
GRANT CONNECT ON DATABASE {database} TO {role};
GRANT USAGE ON SCHEMA {schema} TO {role};
-- The columns of the job are enough: GRANT SELECT (series_id, sold_at, units) ON ...
GRANT SELECT ON {schema}.{table} TO {role};
ALTER ROLE {role} IN DATABASE {database} SET search_path = {schema};
ALTER ROLE {role} IN DATABASE {database} SET default_transaction_read_only = on;
