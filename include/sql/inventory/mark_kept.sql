-- Which backup was about to go, and stays after all?
UPDATE public.backup_inventory
SET status = %(status)s, expiry_reasons = NULL, expired_at = NULL
WHERE target = %(target)s AND repository = %(repository)s AND label = %(label)s AND status = 'expiring';
