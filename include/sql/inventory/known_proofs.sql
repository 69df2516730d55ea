-- What did the verifications of a target's backups find, how long did they take, how much WAL did they replay?
SELECT
    repository, label, manifest_sha256, finished_at, matched, coalesce(differences[1], ''), seconds,
    CASE
        WHEN jsonb_typeof(checks -> 'replayed_bytes') = 'number' THEN (checks ->> 'replayed_bytes')::bigint
        ELSE 0
    END
FROM public.backup_proof
WHERE target = %(target)s
ORDER BY finished_at;
