-- May the current role restore a database of this owner?
SELECT
    current_user::text,
    r.rolsuper,
    r.rolcreatedb OR r.rolsuper,
    r.rolcreaterole OR r.rolsuper,
    o.oid IS NOT NULL,
    coalesce(pg_catalog.pg_has_role(current_user, o.oid, 'MEMBER'), false)
FROM pg_catalog.pg_roles AS r
LEFT JOIN pg_catalog.pg_roles AS o ON o.rolname = %(owner)s
WHERE r.rolname = current_user;
