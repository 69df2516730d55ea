-- The newest drill of each target, or of one.
SELECT DISTINCT ON (target) document FROM public.backup_drill
WHERE target = coalesce(%(target)s, target)
ORDER BY target ASC, ended_at DESC, drill_id DESC;
