-- Which backups does the inventory know that the repository no longer has?
UPDATE public.backup_inventory
SET status = CASE WHEN status = 'expiring' THEN 'expired' ELSE 'missing' END
WHERE target = %(target)s AND repository = %(repository)s AND label <> ALL (%(present)s)
    AND status NOT IN ('expired', 'missing')
RETURNING label, status;
