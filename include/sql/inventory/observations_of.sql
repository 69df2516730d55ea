-- What did the newest watch see of these targets?
SELECT target, xmin::text || ' ' || ctid::text, document
FROM public.backup_observation
WHERE target = ANY (%(targets)s);
