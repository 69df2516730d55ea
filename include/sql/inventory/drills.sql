-- Which drills were there, of one target or of all, the newest first?
SELECT document FROM public.backup_drill
WHERE target = coalesce(%(target)s, target)
ORDER BY ended_at DESC, drill_id DESC
LIMIT %(limit)s;
