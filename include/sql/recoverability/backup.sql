-- What does each repository's manifest of this backup say, as far as the inventory knows?
SELECT repository, repository_location, backup_type, kind, status, filename, checksum, started_at, finished_at,
    size_bytes, plain_bytes, objects, encryption_keys, system_id, server_version, database_name, summary,
    proven_at, expiry_reasons, expired_at, indexed_at
FROM public.backup_inventory
WHERE target = %(target)s AND label = %(label)s
ORDER BY repository;
