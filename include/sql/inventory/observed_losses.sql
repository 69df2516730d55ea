-- What would have been lost from a repository around a moment, as watches saw it?
SELECT observed_at, seconds
FROM public.backup_observed_loss
WHERE target = %(target)s
    AND repository = %(repository)s
    AND observed_at BETWEEN %(begins_at)s AND %(ends_at)s
ORDER BY observed_at;
