-- What does this database have that only a superuser can dump?
SELECT 'subscription ' || quote_ident(subname) || ' (it is dumped only by superusers)'
FROM pg_catalog.pg_subscription
WHERE subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
UNION ALL
SELECT 'options of the user mapping of ' || quote_ident(usename) || ' on server ' || quote_ident(srvname)
FROM pg_catalog.pg_user_mappings
WHERE umoptions IS NULL
ORDER BY 1;
