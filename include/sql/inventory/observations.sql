-- What did the newest watch see, of all targets or of one?
SELECT document
FROM public.backup_observation
WHERE %(target)s::text IS NULL OR target = %(target)s
ORDER BY target;
