-- What was this drill?
SELECT document FROM public.backup_drill
WHERE target = %(target)s AND drill_id = %(drill_id)s;
