-- What stands in the way of renaming database :live to :old and :beside to :live, as this role?
WITH me AS (
    SELECT r.rolsuper, r.rolcreatedb, pg_catalog.pg_has_role('pg_signal_backend', 'USAGE') AS signals
    FROM pg_catalog.pg_roles AS r
    WHERE r.rolname = current_user
),
pair AS (
    SELECT d.oid, d.datname, d.datdba, d.datallowconn
    FROM pg_catalog.pg_database AS d
    WHERE d.datname IN (%(live)s, %(beside)s)
),
-- Background workers of the server itself (autovacuum) have no user; the rename ends them.
sessions AS (
    SELECT a.*, r.rolsuper, pg_catalog.pg_has_role(r.oid, 'USAGE') AS ours
    FROM pg_catalog.pg_stat_activity AS a
    JOIN pair ON pair.oid = a.datid
    JOIN pg_catalog.pg_roles AS r ON r.oid = a.usesysid
    WHERE a.pid <> pg_catalog.pg_backend_pid()
)
SELECT 'missing' AS kind, name AS object, '' AS detail
FROM pg_catalog.unnest(ARRAY[%(live)s, %(beside)s]) AS name
WHERE name NOT IN (SELECT datname::text FROM pair)
UNION ALL
SELECT 'taken', d.datname, '' FROM pg_catalog.pg_database AS d WHERE d.datname = %(old)s
UNION ALL
SELECT 'connected', datname, '' FROM pair WHERE datname = pg_catalog.current_database()
UNION ALL
SELECT 'closed', datname, '' FROM pair WHERE datname = %(live)s AND NOT datallowconn
UNION ALL
SELECT 'owner', pair.datname, pg_catalog.pg_get_userbyid(pair.datdba)
FROM pair, me
WHERE NOT me.rolsuper AND NOT pg_catalog.pg_has_role(pair.datdba, 'USAGE')
UNION ALL
SELECT 'createdb', current_user::text, '' FROM me WHERE NOT me.rolsuper AND NOT me.rolcreatedb
UNION ALL
SELECT 'subscription', s.subname, ''
FROM pg_catalog.pg_subscription AS s
JOIN pair ON pair.oid = s.subdbid
WHERE pair.datname = %(live)s
UNION ALL
SELECT 'slot', slot_name, CASE WHEN active THEN 'in use' ELSE 'not in use' END
FROM pg_catalog.pg_replication_slots
WHERE database = %(live)s
UNION ALL
SELECT 'prepared', gid, database FROM pg_catalog.pg_prepared_xacts WHERE database IN (%(live)s, %(beside)s)
UNION ALL
SELECT 'superuser', sessions.usename, sessions.pid::text
FROM sessions, me
WHERE sessions.rolsuper AND NOT me.rolsuper
UNION ALL
SELECT 'signal', sessions.usename, pg_catalog.count(*)::text
FROM sessions, me
WHERE NOT sessions.rolsuper AND NOT me.rolsuper AND NOT sessions.ours AND NOT me.signals
GROUP BY sessions.usename;
