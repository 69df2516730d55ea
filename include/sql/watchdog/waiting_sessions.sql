-- Which sessions of others have been waiting too long for a lock that one of ours holds or wants?
-- CREATE INDEX CONCURRENTLY waits for our transaction itself (virtualxid), which pg_blocking_pids() counts in.
-- Background processes (autovacuum, WAL replay) have no user and know how to wait.
SELECT waiting.pid,
       waiting.locktype,
       waiting.mode,
       n.nspname,
       c.relname,
       activity.query
FROM pg_catalog.pg_locks AS waiting
JOIN pg_catalog.pg_stat_activity AS activity ON activity.pid = waiting.pid
LEFT JOIN pg_catalog.pg_class AS c
       ON c.oid = waiting.relation
      AND waiting.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE NOT waiting.granted
  AND activity.usesysid IS NOT NULL
  AND NOT waiting.pid = ANY (%(ours)s)
  AND clock_timestamp() - waiting.waitstart > make_interval(secs => %(patience_seconds)s)
  AND pg_catalog.pg_blocking_pids(waiting.pid) && %(ours)s::integer[]
ORDER BY waiting.waitstart
LIMIT 1;
