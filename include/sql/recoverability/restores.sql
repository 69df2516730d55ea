-- How long did verifications of this target take that matched, since a moment? Oldest first.
SELECT label, finished_at, (seconds ->> 'total')::double precision
FROM public.backup_proof
WHERE target = %(target)s AND finished_at >= %(since)s AND matched AND seconds ? 'total'
ORDER BY finished_at;
