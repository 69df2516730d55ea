#!/bin/sh
# The first start of the protected PostgreSQL: its owner, and the two roles of include/sql/roles.
set -eu
psql -v ON_ERROR_STOP=1 --username postgres --dbname calibrify <<'SQL'
\set backup_password `cat /run/secrets/calibrify_backup`
CREATE ROLE calibrify_owner NOLOGIN;
ALTER DATABASE calibrify OWNER TO calibrify_owner;
CREATE ROLE calibrify_backup LOGIN PASSWORD :'backup_password';
SQL
psql -v ON_ERROR_STOP=1 --username postgres --dbname calibrify \
    -v role=calibrify_backup -v database=calibrify -f /roles/backup_role.sql
psql -v ON_ERROR_STOP=1 --username postgres --dbname calibrify \
    -v role=calibrify_restore -v owner=calibrify_owner -f /roles/restore_role.sql
psql -v ON_ERROR_STOP=1 --username postgres --dbname calibrify <<'SQL'
\set restore_password `cat /run/secrets/calibrify_restore`
ALTER ROLE calibrify_restore PASSWORD :'restore_password';
SQL
