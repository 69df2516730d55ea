-- Where does each batch of large objects begin?
SELECT oid
FROM (
    SELECT oid, row_number() OVER (ORDER BY oid) - 1 AS position
    FROM pg_catalog.pg_largeobject_metadata
) AS numbered
WHERE position %% %(batch)s = 0
ORDER BY oid;
