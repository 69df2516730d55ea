-- Which sessions belong to this attempt at a backup?
SELECT pid
FROM pg_catalog.pg_stat_activity
WHERE application_name = %(application_name)s
  AND usename = current_user
  AND pid <> pg_catalog.pg_backend_pid();
