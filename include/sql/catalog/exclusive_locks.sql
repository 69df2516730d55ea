-- Which of these tables does somebody hold so that nobody can read them?
SELECT locks.pid, n.nspname, c.relname
FROM pg_catalog.pg_locks AS locks
JOIN pg_catalog.pg_class AS c ON c.oid = locks.relation
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE locks.locktype = 'relation'
  AND locks.mode = 'AccessExclusiveLock'
  AND locks.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
  AND locks.relation = ANY (%(oids)s::oid[])
  AND locks.pid <> pg_catalog.pg_backend_pid()
ORDER BY locks.granted DESC, n.nspname, c.relname
LIMIT 3;
