-- Which incidents were there, of one target or of all, the newest first?
SELECT target, incident_id, declared_at, closed_at, document FROM public.backup_incident
WHERE target = coalesce(%(target)s, target)
ORDER BY declared_at DESC, incident_id DESC
LIMIT %(limit)s;
