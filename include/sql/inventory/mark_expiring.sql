-- Which backup is about to go, and why?
UPDATE public.backup_inventory
SET status = 'expiring', expiry_reasons = %(reasons)s, expired_at = NULL
WHERE target = %(target)s AND repository = %(repository)s AND label = %(label)s;
