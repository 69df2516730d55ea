-- Which record of evidence is the newest in this repository now? Never an older one than before.
INSERT INTO public.evidence_head AS known (target, repository_id, number, sha256, recorded_at)
VALUES (%(target)s, %(repository_id)s, %(number)s, %(sha256)s, %(recorded_at)s)
ON CONFLICT (target, repository_id) DO UPDATE
SET number = excluded.number, sha256 = excluded.sha256, recorded_at = excluded.recorded_at
WHERE known.number < excluded.number;
