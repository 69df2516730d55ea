-- Which observations have been replaced since they were last read? A row's version changes with every update.
SELECT target, xmin::text || ' ' || ctid::text
FROM public.backup_observation;
