-- Which columns of this table does COPY take and give?
SELECT a.attname::text
FROM pg_catalog.pg_attribute AS a
WHERE a.attrelid = %(table)s::oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
ORDER BY a.attnum;
