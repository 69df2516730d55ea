-- How many large objects may we not read, and which are the first?
-- There is no has_largeobject_privilege() before 18, and pg_read_all_data does not cover large objects.
SELECT count(*), (array_agg(m.oid ORDER BY m.oid))[1:5]
FROM pg_catalog.pg_largeobject_metadata AS m
WHERE current_setting('lo_compat_privileges') = 'off'
  AND NOT EXISTS (
      SELECT
      FROM pg_catalog.aclexplode(coalesce(m.lomacl, pg_catalog.acldefault('L', m.lomowner))) AS acl
      WHERE acl.privilege_type = 'SELECT'
        AND (acl.grantee = 0 OR pg_catalog.pg_has_role(acl.grantee, 'USAGE'))
  );
