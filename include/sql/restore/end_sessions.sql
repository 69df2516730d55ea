-- Which sessions held these databases, and were told to end? Those of superusers only a superuser can end.
SELECT a.pid, pg_catalog.pg_terminate_backend(a.pid) AS told
FROM pg_catalog.pg_stat_activity AS a
JOIN pg_catalog.pg_roles AS r ON r.oid = a.usesysid
JOIN pg_catalog.pg_roles AS me ON me.rolname = current_user
WHERE a.datname = ANY(%(databases)s)
  AND a.pid <> pg_catalog.pg_backend_pid()
  AND (me.rolsuper OR NOT r.rolsuper);
