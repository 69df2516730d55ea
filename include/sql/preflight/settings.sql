-- How is the server set, and what waits for a restart? Sizes in the unit of each setting.
SELECT name, setting, unit, vartype, context, pending_restart
FROM pg_catalog.pg_settings
WHERE name = ANY (%(names)s);
