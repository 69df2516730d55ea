-- Which backups were expired in this repository on purpose, or are about to be?
SELECT label
FROM public.backup_inventory
WHERE target = %(target)s AND repository = %(repository)s AND status IN ('expiring', 'expired');
