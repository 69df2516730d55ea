-- What did the verifications of a target's backups find, and how long did they take?
SELECT repository, label, manifest_sha256, finished_at, matched, coalesce(differences[1], ''), seconds
FROM public.backup_proof
WHERE target = %(target)s
ORDER BY finished_at;
