-- What belongs to the database itself, and must be the same on a restored copy?
-- jsonb hides that the locale's column was renamed in 17 and that ICU rules came with 16. Grantors are left
-- out: a restore grants as the owner.
SELECT jsonb_build_object(
    'encoding', pg_catalog.pg_encoding_to_char(d.encoding),
    'collate', d.datcollate,
    'ctype', d.datctype,
    'locale_provider',
        CASE d.datlocprovider WHEN 'c' THEN 'libc' WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' END,
    'icu_locale', coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'),
    'icu_rules', to_jsonb(d) ->> 'daticurules',
    'owner', pg_catalog.pg_get_userbyid(d.datdba),
    'connection_limit', d.datconnlimit,
    'comment', pg_catalog.shobj_description(d.oid, 'pg_database'),
    'acl', (
        SELECT coalesce(jsonb_agg(line ORDER BY line COLLATE "C"), '[]')
        FROM (
            SELECT CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.pg_get_userbyid(acl.grantee) END
                   || '=' || acl.privilege_type
                   || CASE WHEN acl.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS line
            FROM pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) AS acl
            GROUP BY 1
        ) AS grants
    ),
    'settings', (
        SELECT coalesce(
            jsonb_agg(
                jsonb_build_object(
                    'role', CASE WHEN s.setrole = 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(s.setrole) END,
                    'settings', (SELECT jsonb_agg(line ORDER BY line COLLATE "C") FROM unnest(s.setconfig) AS line)
                )
                ORDER BY CASE WHEN s.setrole = 0 THEN '' ELSE pg_catalog.pg_get_userbyid(s.setrole)::text END COLLATE "C"
            ),
            '[]'
        )
        FROM pg_catalog.pg_db_role_setting AS s
        WHERE s.setdatabase = d.oid
    )
)::text AS properties
FROM pg_catalog.pg_database AS d
WHERE d.datname = pg_catalog.current_database();
