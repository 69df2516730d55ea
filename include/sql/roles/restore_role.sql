-- What must the role that restores be allowed: create a database beside the old one, fill it, swap the two?
--
-- Run it with psql as a superuser (or the managed server's administrator), after
-- CREATE ROLE calibrify_restore LOGIN PASSWORD '…':
--     psql -d calibrify -v role=calibrify_restore -v owner=calibrify -v database=calibrify -f restore_role.sql
-- It may be run again at any time. The role is no superuser: what a dump contains is code.
\set ON_ERROR_STOP on

GRANT CONNECT ON DATABASE :"database" TO :"role";
-- A new database, and the right to rename one it owns as a member of the owner.
ALTER ROLE :"role" CREATEDB;
GRANT :"owner" TO :"role";
-- Who is connected, and the right to disconnect them for the moment of the swap.
GRANT pg_read_all_stats TO :"role";
GRANT pg_signal_backend TO :"role";
