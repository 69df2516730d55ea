-- What must the role that takes backups be allowed, and nothing more?
--
-- Run it with psql in the database to protect, as a superuser (or the managed server's administrator), after
-- CREATE ROLE calibrify_backup LOGIN PASSWORD '…':
--     psql -d calibrify -v role=calibrify_backup -v database=calibrify -f backup_role.sql
-- It may be run again at any time.
\set ON_ERROR_STOP on

GRANT CONNECT ON DATABASE :"database" TO :"role";
-- Every table, view and sequence, also those created later. Reads only.
GRANT pg_read_all_data TO :"role";
-- What sessions wait for: lets the watchdog see at little cost whom the backup would keep waiting.
GRANT pg_read_all_stats TO :"role";
-- Tables with row-level security would otherwise be refused, rather than dumped in part.
ALTER ROLE :"role" BYPASSRLS;

-- Large objects are not covered by pg_read_all_data. This grants those that exist now …
SELECT format('GRANT SELECT ON LARGE OBJECT %s TO %I', oid, :'role')
FROM pg_catalog.pg_largeobject_metadata
\gexec
-- … and, from PostgreSQL 18 on, those that the database's owner will create. On older servers, where the
-- application creates large objects, either run this file regularly or, as a superuser, let the role pass
-- over their privileges (which includes writing):
--     ALTER ROLE calibrify_backup IN DATABASE calibrify SET lo_compat_privileges = on;
SELECT current_setting('server_version_num')::integer >= 180000 AS has_default_privileges \gset
\if :has_default_privileges
SELECT format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT SELECT ON LARGE OBJECTS TO %I', owner, :'role')
FROM (
    SELECT pg_catalog.pg_get_userbyid(datdba) AS owner
    FROM pg_catalog.pg_database
    WHERE datname = current_database()
    UNION
    SELECT pg_catalog.pg_get_userbyid(lomowner) FROM pg_catalog.pg_largeobject_metadata
) AS owners
\gexec
\endif

-- Left out on purpose, so listed in each backup as missing: the roles' password verifiers. To have them too
-- (whoever reads them can try passwords offline): GRANT SELECT ON pg_catalog.pg_authid TO calibrify_backup;
