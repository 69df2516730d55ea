-- Which sessions belong to this attempt at a backup, and which others may be waiting for a lock?
-- pg_locks costs 10 ms with 8,000 locks, so it is read only when there is somebody to look for. What sessions
-- of other roles do is hidden (state is null) from roles without pg_read_all_stats: they may be waiting.
SELECT pid,
       application_name = %(application_name)s AND usename = current_user AS ours
FROM pg_catalog.pg_stat_activity
WHERE pid <> pg_catalog.pg_backend_pid()
  AND usesysid IS NOT NULL
  AND (
      (application_name = %(application_name)s AND usename = current_user)
      OR wait_event_type = 'Lock'
      OR state IS NULL
  );
