-- Which rights does the role need that restores a database beside the live one and swaps them?
-- Run it once as a superuser, in any database of the cluster (quotes are added here):
--   psql -v role=calibrify_restore -v owner=calibrify -f restore_role.sql
-- Then give it a password with \password, and the database postgres (or another) to connect to.
-- It is no superuser: what a dump contains is code, and runs as this role or as the database's owner.

-- Creates the database beside the live one, and may rename it.
CREATE ROLE :"role" LOGIN NOSUPERUSER CREATEDB NOCREATEROLE NOREPLICATION;

-- Gives the restored objects to their owner; renames, closes and opens the owner's databases.
-- Repeat it for every role that owns something in the database.
GRANT :"owner" TO :"role";

-- Ends the application's sessions at the swap. Sessions of superusers it cannot end: they are named first.
GRANT pg_signal_backend TO :"role";

-- Sees what kind of session holds the live database (an apply worker, a replication connection).
GRANT pg_read_all_stats TO :"role";

-- Reads every restored row to compare it with the backup's fingerprint, whoever owns the table. Row level
-- security that is forced on owners also needs: ALTER ROLE … BYPASSRLS.
GRANT pg_read_all_data TO :"role";

-- Optional: creates roles that the dump names and the server does not have (NOLOGIN, without rights).
-- Without it they are listed, to be created by hand.
-- ALTER ROLE :"role" CREATEROLE;

-- Optional: settings of roles in the database (ALTER ROLE … IN DATABASE … SET) are restored for roles that
-- this one is a member of: GRANT thatrole TO :"role";
-- What may not be set is left out of the copy, and named.

-- Optional: where either kind of SET uses parameters of superusers or of the application's own making
-- (myapp.tenant), one by one (PostgreSQL 15 and later):
-- GRANT SET ON PARAMETER myapp.tenant TO :"role";
