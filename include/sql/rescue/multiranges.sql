-- Which multirange types were made with these range types? Each is moved by itself.
SELECT r.rngmultitypid::regtype::text
FROM pg_catalog.pg_range AS r
WHERE r.rngtypid = ANY (%(types)s::regtype[]::oid[])
ORDER BY 1;
