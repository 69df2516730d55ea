-- Which observations are so old that no drill asks for them any more?
DELETE FROM public.backup_observed_loss
WHERE target = %(target)s AND observed_at < %(before)s;
