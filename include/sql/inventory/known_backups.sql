-- What is known of a target's backups, and of those that expired lately?
SELECT repository, label, status, checksum, size_bytes, plain_bytes, objects, indexed_at, facts, summary
FROM public.backup_inventory
WHERE target = %(target)s AND label IS NOT NULL AND repository IS NOT NULL AND facts IS NOT NULL
    AND (status <> 'expired' OR expired_at > now() - interval '90 days');
