-- Which large objects are in this batch?
SELECT oid
FROM pg_catalog.pg_largeobject_metadata
WHERE oid >= %(first)s AND (%(next)s::oid IS NULL OR oid < %(next)s::oid)
ORDER BY oid;
