-- Which backups does the inventory know that the repository no longer has?
UPDATE public.backup_inventory
SET status = CASE WHEN status = 'expiring' THEN 'expired' ELSE 'missing' END,
    expired_at = CASE WHEN status = 'expiring' THEN coalesce(expired_at, now()) ELSE expired_at END
WHERE target = %(target)s AND repository = %(repository)s AND label <> ALL (%(present)s)
    AND status NOT IN ('expired', 'missing')
    -- Its manifest has gone, and what it held is being removed.
    AND label <> ALL (%(expiring)s)
RETURNING label, status;
