-- What did each verification of this backup find? Newest first.
SELECT repository, started_at, finished_at, matched, differences, seconds, checks, server_version, isolation,
    host, signing_key
FROM public.backup_proof
WHERE target = %(target)s AND label = %(label)s
ORDER BY finished_at DESC;
