-- Who owns large objects, may read them, and what is said about them? One row an owner; sum() so that order is nothing.
SELECT owner, count(*), sum(pg_catalog.hashtextextended(concat_ws(':', oid, acl, comment, labels), 0))::text
FROM (
    SELECT m.oid,
           pg_catalog.pg_get_userbyid(m.lomowner)::text AS owner,
           (
               SELECT jsonb_agg(
                   DISTINCT jsonb_build_array(
                       CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.pg_get_userbyid(acl.grantee)::text END,
                       acl.privilege_type,
                       acl.is_grantable
                   )
               )
               FROM pg_catalog.aclexplode(coalesce(m.lomacl, pg_catalog.acldefault('L', m.lomowner))) AS acl
           )::text AS acl,
           to_jsonb(pg_catalog.obj_description(m.oid, 'pg_largeobject'))::text AS comment,
           (
               SELECT jsonb_agg(jsonb_build_array(l.provider, l.label) ORDER BY l.provider)
               FROM pg_catalog.pg_seclabel AS l
               WHERE l.classoid = 'pg_catalog.pg_largeobject'::regclass AND l.objoid = m.oid
           )::text AS labels
    FROM pg_catalog.pg_largeobject_metadata AS m
) AS described
GROUP BY owner
ORDER BY owner;
