-- How are these types, functions and collations defined here? Left out are those that are not there, and those
-- that the owner of the rescued tables may not use.
-- Equal text means that the one can stand for the other; whatever is not compared has none.
SELECT 'type' AS type, wanted.identity, jsonb_build_array(
    t.typtype,
    pg_catalog.format_type(t.typbasetype, t.typtypmod),
    t.typnotnull,
    pg_catalog.pg_get_expr(t.typdefaultbin, 0),
    t.typcollation::regcollation,
    (SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum AS e WHERE e.enumtypid = t.oid),
    (
        SELECT jsonb_agg(pg_catalog.pg_get_constraintdef(c.oid) ORDER BY c.conname)
        FROM pg_catalog.pg_constraint AS c
        WHERE c.contypid = t.oid
    ),
    (
        SELECT jsonb_agg(
            jsonb_build_array(a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attcollation::regcollation)
            ORDER BY a.attnum
        )
        FROM pg_catalog.pg_attribute AS a
        WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
    )
)::text AS definition
FROM unnest(%(types)s::text[]) AS wanted (identity)
JOIN pg_catalog.pg_type AS t ON t.oid = pg_catalog.to_regtype(wanted.identity)
WHERE t.typtype IN ('c', 'd', 'e')
  AND pg_catalog.has_schema_privilege(%(owner)s, t.typnamespace, 'USAGE')
  AND pg_catalog.has_type_privilege(%(owner)s, t.oid, 'USAGE')
UNION ALL
SELECT 'function', wanted.identity, pg_catalog.pg_get_functiondef(p.oid)
FROM unnest(%(functions)s::text[]) AS wanted (identity)
JOIN pg_catalog.pg_proc AS p ON p.oid = pg_catalog.to_regprocedure(wanted.identity)
WHERE p.prokind IN ('f', 'p', 'w')
  AND pg_catalog.has_schema_privilege(%(owner)s, p.pronamespace, 'USAGE')
  AND pg_catalog.has_function_privilege(%(owner)s, p.oid, 'EXECUTE')
UNION ALL
SELECT 'collation', wanted.identity,
       (to_jsonb(c) - '{oid,collname,collnamespace,collowner,collversion}'::text[])::text
FROM unnest(%(collations)s::text[]) AS wanted (identity)
JOIN pg_catalog.pg_collation AS c ON c.oid = pg_catalog.to_regcollation(wanted.identity)
WHERE pg_catalog.has_schema_privilege(%(owner)s, c.collnamespace, 'USAGE');
