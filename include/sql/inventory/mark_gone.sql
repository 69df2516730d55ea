-- Which of these backups has the inventory not known to be gone? Those being expired have expired.
UPDATE public.backup_inventory
SET status = CASE WHEN status = 'expiring' THEN 'expired' ELSE 'missing' END,
    expired_at = CASE WHEN status = 'expiring' THEN coalesce(expired_at, now()) ELSE expired_at END
WHERE target = %(target)s AND repository = %(repository)s AND label = ANY (%(labels)s)
    AND status NOT IN ('expired', 'missing');
