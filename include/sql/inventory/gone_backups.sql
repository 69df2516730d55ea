-- Which backups of a target have left a repository: on purpose (expired, or about to), or not (missing)?
SELECT repository, label, status
FROM public.backup_inventory
WHERE target = %(target)s AND label IS NOT NULL AND status IN ('expiring', 'expired', 'missing');
