#!/bin/sh
# PostgreSQL's image runs this once, when its volume is empty: a role and a database for Prefect, and for the forecasts.
set -eu
make_database() {
  psql --set ON_ERROR_STOP=1 --quiet --no-psqlrc --username "$POSTGRES_USER" --dbname postgres \
    --set name="$1" --set password="$(cat "/run/secrets/$1-password")" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name" ENCODING 'UTF8' TEMPLATE template0;
REVOKE CONNECT ON DATABASE :"name" FROM PUBLIC;
SQL
}
make_database prefect
make_database nightcast
