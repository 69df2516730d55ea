-- What was this incident?
SELECT target, incident_id, declared_at, closed_at, document FROM public.backup_incident
WHERE target = %(target)s AND incident_id = %(incident_id)s;
