#!/bin/bash
# The first start of the protected PostgreSQL: its owner and application, the roles of include/sql/roles, and the
# settings of include/postgres/backup.conf, with less WAL kept than a server of your own would spare.
set -eu
run() { psql -v ON_ERROR_STOP=1 --username postgres --dbname calibrify "$@"; }

run <<'SQL'
\set app_password `cat /run/secrets/calibrify_app`
\set backup_password `cat /run/secrets/calibrify_backup`
CREATE ROLE calibrify_owner NOLOGIN;
ALTER DATABASE calibrify OWNER TO calibrify_owner;
CREATE ROLE calibrify_app LOGIN PASSWORD :'app_password';
CREATE ROLE calibrify_backup LOGIN PASSWORD :'backup_password';
SQL
run -v role=calibrify_backup -f /roles/backup_role.sql
run -v role=calibrify_restore -v owner=calibrify_owner -f /roles/restore_role.sql
run -v role=calibrify_replication -f /roles/replication_role.sql
# In a database of its own: what is granted in calibrify would be part of its dumps.
run --dbname postgres -v role=calibrify_replication -f /roles/file_copy_role.sql
run <<'SQL'
\set restore_password `cat /run/secrets/calibrify_restore`
\set replication_password `cat /run/secrets/calibrify_replication`
ALTER ROLE calibrify_restore PASSWORD :'restore_password';
ALTER ROLE calibrify_replication PASSWORD :'replication_password';
-- The application has settings of its own in this database; only a member of a role may set those again.
GRANT calibrify_app TO calibrify_restore;
SQL

sed -e 's/^#: summarize_wal/summarize_wal/' -e 's/^max_slot_wal_keep_size = .*/max_slot_wal_keep_size = 4GB/' \
    -e 's/^wal_keep_size = .*/wal_keep_size = 256MB/' -e 's/^max_wal_size = .*/max_wal_size = 1GB/' \
    -e 's/^maintenance_work_mem = .*/maintenance_work_mem = 128MB/' /backup.conf >> "$PGDATA/postgresql.conf"
echo 'host replication calibrify_replication all scram-sha-256' >> "$PGDATA/pg_hba.conf"
bash /first_start.sh done
