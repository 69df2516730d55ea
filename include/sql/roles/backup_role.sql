-- Which rights does the role need that takes backups, and none beyond?
-- Run it with psql as a superuser (or a managed server's administrator) in the database to protect:
--   psql -d calibrify -v role=calibrify_backup -f backup_role.sql
-- Then give the role a password with \password. Run it again whenever a backup names something unreadable.
\set ON_ERROR_STOP on

-- Base backups and WAL need more: ALTER ROLE calibrify_backup REPLICATION; and in pg_hba.conf a line such as
--   hostssl replication calibrify_backup 10.0.0.0/8 scram-sha-256
-- Whoever may replicate reads every file of the cluster: rather give that to a role of its own.
SELECT format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION', :'role')
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = :'role')
\gexec

GRANT CONNECT ON DATABASE :"DBNAME" TO :"role";

-- Reads every table, view and sequence, also those created later. That includes the roles' password verifiers
-- (pg_authid): they are in each backup then, encrypted like the rest. To leave them out, grant USAGE on the
-- schemas and SELECT on their tables and sequences instead; backups then list the passwords as missing.
GRANT pg_read_all_data TO :"role";

-- Sees what other sessions wait for: the watchdog finds at little cost whom the backup would keep waiting.
GRANT pg_read_all_stats TO :"role";

-- Tables with row-level security would otherwise be refused, rather than dumped in part.
ALTER ROLE :"role" BYPASSRLS;

-- Large objects are not covered by pg_read_all_data. This grants those that exist now …
SELECT format('GRANT SELECT ON LARGE OBJECT %s TO %I', oid, :'role')
FROM pg_catalog.pg_largeobject_metadata
\gexec

-- … and, from PostgreSQL 18 on, those that today's owners of anything in this database will create. On older
-- servers run this file regularly, or, as a superuser, let the role pass over their privileges (for writing
-- too):
--   ALTER ROLE calibrify_backup IN DATABASE calibrify SET lo_compat_privileges = on;
SELECT current_setting('server_version_num')::integer >= 180000 AS grants_in_advance \gset
\if :grants_in_advance
SELECT format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT SELECT ON LARGE OBJECTS TO %I', rolname, :'role')
FROM pg_catalog.pg_roles
WHERE oid IN (
    SELECT datdba FROM pg_catalog.pg_database WHERE datname = current_database()
    UNION
    SELECT owned.refobjid
    FROM pg_catalog.pg_shdepend AS owned
    JOIN pg_catalog.pg_database AS here ON here.oid = owned.dbid AND here.datname = current_database()
    WHERE owned.deptype = 'o'
)
\gexec
\endif
