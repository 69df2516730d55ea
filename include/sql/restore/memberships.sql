-- Which of these roles exist, and may the current role give objects to them?
-- Since 16 a membership may come without the right to become that role, which giving away needs.
SELECT
    r.rolname::text,
    pg_catalog.pg_has_role(
        current_user,
        r.oid,
        CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END
    )
FROM pg_catalog.pg_roles AS r
WHERE r.rolname = ANY(%(roles)s);
