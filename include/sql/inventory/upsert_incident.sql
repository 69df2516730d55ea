-- Which incident was this, and how did it end? A closed one is not opened by an older copy of its journal.
INSERT INTO public.backup_incident AS known (target, incident_id, declared_at, closed_at, document)
VALUES (%(target)s, %(incident_id)s, %(declared_at)s, %(closed_at)s, %(document)s)
ON CONFLICT (target, incident_id) DO UPDATE SET
    declared_at = excluded.declared_at,
    closed_at = excluded.closed_at,
    document = excluded.document
WHERE known.closed_at IS NULL OR excluded.closed_at IS NOT NULL;
