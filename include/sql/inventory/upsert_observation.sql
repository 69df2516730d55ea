-- What does the watch know of a target now? An older observation does not replace a newer one, but for one from the
-- future: of a worker whose clock was wrong, which would keep all that follow from being seen until then.
INSERT INTO public.backup_observation (target, observed_at, document)
VALUES (%(target)s, %(observed_at)s, %(document)s)
ON CONFLICT (target) DO UPDATE
SET observed_at = excluded.observed_at, document = excluded.document
WHERE backup_observation.observed_at <= excluded.observed_at
    OR backup_observation.observed_at > greatest(pg_catalog.now(), excluded.observed_at) + interval '15 minutes';
