-- Which rights does the role of replication_role.sql need in addition, to read the files of full base backups on the
-- database's own host (cluster.file_copy in targets.yaml)?
-- Run it once as a superuser in the database that cluster.file_copy.database names, which is postgres by default:
--   psql -d postgres -v role=calibrify_replication -f file_copy_role.sql
-- Not in the database to protect: rights over functions are a database's own and part of its dumps, and whoever
-- restores such a dump would need to be a superuser.
\set ON_ERROR_STOP on

-- The server then writes full pages to its WAL and says where recovery begins and ends; it sends no file (PostgreSQL
-- docs, 9.28.3). The files themselves are read by the worker's operating system user.
GRANT EXECUTE ON FUNCTION pg_catalog.pg_backup_start(text, boolean) TO :"role";
GRANT EXECUTE ON FUNCTION pg_catalog.pg_backup_stop(boolean) TO :"role";

-- Everybody may ask which checkpoint the server's pg_control names, unless that was taken away.
GRANT EXECUTE ON FUNCTION pg_catalog.pg_control_checkpoint() TO :"role";
