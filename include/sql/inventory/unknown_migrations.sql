-- Which migrations has this inventory had that this release does not know?
SELECT name
FROM public.backup_schema_migration
WHERE name <> ALL (%(known)s)
ORDER BY version;
