-- A role that runs nights: it owns one schema, in which it makes and migrates its tables, adds a partition
-- for each new month, columns for new quantile levels, and drops old months. It has no rights elsewhere.
-- Run it as an administrator in the database of the output, before the first night.
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {role_text}) THEN
    CREATE ROLE {role} LOGIN;
  END IF;
END $$;
GRANT CONNECT ON DATABASE {database} TO {role};
-- Where an administrator who is no superuser is refused here: GRANT {role} TO CURRENT_USER;
CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {role};
-- For a schema that was there before, and belongs to another role.
GRANT USAGE, CREATE ON SCHEMA {schema} TO {role};
ALTER ROLE {role} IN DATABASE {database} SET search_path = {schema};
