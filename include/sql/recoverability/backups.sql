-- Which backups of this target are there, and which were made since a moment? Oldest first.
SELECT label, repository, started_at, finished_at, coalesce(size_bytes, 0), coalesce(plain_bytes, 0), status,
    proven_at, expired_at
FROM public.backup_inventory
WHERE target = %(target)s AND label IS NOT NULL AND (status <> 'expired' OR finished_at >= %(since)s)
ORDER BY finished_at, label, repository;
