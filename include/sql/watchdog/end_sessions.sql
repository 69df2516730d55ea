-- End every session of this attempt at a backup; how many were there?
SELECT count(pg_catalog.pg_terminate_backend(pid))
FROM pg_catalog.pg_stat_activity
WHERE application_name = %(application_name)s
  AND usename = current_user
  AND pid <> pg_catalog.pg_backend_pid();
