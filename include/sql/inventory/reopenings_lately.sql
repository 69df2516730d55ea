-- How often had a finding come back when it closed lately? It is the same one, and must not ring each time.
SELECT reopenings
FROM public.backup_finding
WHERE target = %(target)s AND check_name = %(check_name)s AND subject = %(subject)s
    AND closed_at > %(since)s
ORDER BY closed_at DESC
LIMIT 1;
