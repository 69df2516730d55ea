-- Which rights does the role need that takes base backups and receives WAL, and none beyond?
-- Run it once as a superuser in the database to protect (quotes are added here):
--   psql -d calibrify -v role=calibrify_replication -f replication_role.sql
-- Then give it a password with \password, and add the lines for pg_hba.conf that include/postgres/backup.conf has.
-- It is no superuser, but REPLICATION reads every byte of the cluster, password verifiers included: treat its
-- password like one of a superuser. To read files on the database's own host it needs file_copy_role.sql, too.
\set ON_ERROR_STOP on

-- Connects in replication mode: BASE_BACKUP, START_REPLICATION, and its own slot (PostgreSQL docs, 53.4).
SELECT format('CREATE ROLE %I LOGIN REPLICATION NOSUPERUSER NOCREATEDB NOCREATEROLE', :'role')
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = :'role')
\gexec
ALTER ROLE :"role" REPLICATION;

-- Sees settings such as archive_command, and where the server's files are: for check-server and the plan of a
-- recovery.
GRANT pg_read_all_settings TO :"role";

-- Sees how far its slot is behind (pg_stat_replication shows others' rows only to this role).
GRANT pg_read_all_stats TO :"role";
