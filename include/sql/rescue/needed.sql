-- What do these tables need that is not part of them? With what each of these needs in turn.
-- Parts are what goes away with a table: indexes, constraints, defaults, owned sequences, triggers. What an
-- extension brings, or PostgreSQL itself (oids below 16384), is there already.
WITH RECURSIVE parts (classid, objid) AS (
    SELECT 'pg_catalog.pg_class'::regclass::oid, wanted.oid
    FROM unnest(%(tables)s::oid[]) AS wanted (oid)
    UNION
    SELECT d.classid, d.objid
    FROM parts
    JOIN pg_catalog.pg_depend AS d
      ON d.refclassid = parts.classid AND d.refobjid = parts.objid AND d.deptype IN ('a', 'i', 'P', 'S')
),
reached (classid, objid) AS (
    SELECT classid, objid FROM parts
    UNION
    SELECT d.refclassid, d.refobjid
    FROM reached
    JOIN pg_catalog.pg_depend AS d
      ON d.classid = reached.classid AND d.objid = reached.objid AND d.refobjid >= 16384
    WHERE d.refclassid <> 'pg_catalog.pg_namespace'::regclass
      AND NOT EXISTS (
          SELECT
          FROM pg_catalog.pg_depend AS member
          WHERE member.classid = d.refclassid AND member.objid = d.refobjid AND member.deptype = 'e'
      )
)
SELECT reached.classid || '/' || reached.objid AS key,
       what.type,
       what.identity,
       -- Goes wherever what it was made for goes: an array type, the row type of a table, a composite type's class.
       (reached.classid, reached.objid) IN (SELECT classid, objid FROM parts)
       OR EXISTS (
           SELECT
           FROM pg_catalog.pg_depend AS d
           WHERE d.classid = reached.classid AND d.objid = reached.objid AND d.deptype = 'i'
             AND NOT (d.classid = 'pg_catalog.pg_type'::regclass AND EXISTS (
                 SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = d.refobjid AND c.relkind = 'c'
             ))
       )
       OR EXISTS (
           SELECT FROM pg_catalog.pg_class AS c
           WHERE reached.classid = 'pg_catalog.pg_class'::regclass AND c.oid = reached.objid AND c.relkind = 'c'
       ) AS follows,
       ARRAY(
           SELECT DISTINCT d.refclassid || '/' || d.refobjid
           FROM pg_catalog.pg_depend AS d
           WHERE d.classid = reached.classid AND d.objid = reached.objid
             AND (d.refclassid, d.refobjid) IN (SELECT classid, objid FROM reached)
             AND NOT (d.refclassid = d.classid AND d.refobjid = d.objid)
       ) AS needs
FROM reached
CROSS JOIN LATERAL pg_catalog.pg_identify_object(reached.classid, reached.objid, 0) AS what;
