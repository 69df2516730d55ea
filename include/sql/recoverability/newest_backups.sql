-- When was the newest backup of a database published, and when was one last proven, of each of these targets?
SELECT asked.target, newest.finished_at, newest.proven_at
FROM unnest(%(targets)s::text[]) AS asked (target)
CROSS JOIN LATERAL (
    SELECT max(one.finished_at) AS finished_at, max(one.proven_at) AS proven_at
    FROM unnest('{dump,full,incr}'::text[]) AS kinds (kind)
    CROSS JOIN LATERAL (
        SELECT backup.finished_at, backup.proven_at
        FROM public.backup_inventory AS backup
        WHERE backup.target = asked.target AND backup.kind = kinds.kind
            AND backup.status IN ('completed', 'proven', 'failed')
        ORDER BY backup.finished_at DESC
        LIMIT 5
    ) AS one
) AS newest
WHERE newest.finished_at IS NOT NULL;
