-- What does the watch know of a target now? An older observation does not replace a newer one, unless that
-- is dated an hour or more ahead of it: its clock was wrong, and nothing would count until then.
INSERT INTO public.backup_observation (target, observed_at, document)
VALUES (%(target)s, %(observed_at)s, %(document)s)
ON CONFLICT (target) DO UPDATE
SET observed_at = excluded.observed_at, document = excluded.document
WHERE backup_observation.observed_at <= excluded.observed_at
    OR backup_observation.observed_at > excluded.observed_at + interval '1 hour';
