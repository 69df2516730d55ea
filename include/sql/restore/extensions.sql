-- Which of these extensions can be created here, and by whom? Those that are not installed have no row.
SELECT v.name::text, v.trusted OR NOT v.superuser
FROM pg_catalog.pg_available_extension_versions AS v
INNER JOIN pg_catalog.pg_available_extensions AS e ON e.name = v.name AND e.default_version = v.version
WHERE v.name = ANY(%(names)s);
