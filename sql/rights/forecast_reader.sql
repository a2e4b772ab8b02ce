-- A role that reads the tables and views of the output, those of later releases and months too: for dashboards and
-- planners, who begin with the view forecast_vs_actual.
-- Run it as an administrator in the database of the output, after output_writer.sql.
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {role_text}) THEN
    CREATE ROLE {role} LOGIN;
  END IF;
END $$;
GRANT CONNECT ON DATABASE {database} TO {role};
GRANT USAGE ON SCHEMA {schema} TO {role};
GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role};
ALTER DEFAULT PRIVILEGES FOR ROLE {writer} IN SCHEMA {schema} GRANT SELECT ON TABLES TO {role};
ALTER ROLE {role} IN DATABASE {database} SET search_path = {schema};
ALTER ROLE {role} IN DATABASE {database} SET default_transaction_read_only = on;
