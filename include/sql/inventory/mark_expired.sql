-- Which backup has gone, on purpose?
UPDATE public.backup_inventory
SET status = 'expired', expired_at = coalesce(expired_at, %(at)s)
WHERE target = %(target)s AND repository = %(repository)s AND label = %(label)s;
