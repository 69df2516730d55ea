-- What is open of all targets or of one, and what was closed since a moment? Critical first, then the newest.
SELECT target, check_name, subject, level, sentence, next_step, opened_at, level_since, last_seen_at,
    reopenings, closed_at
FROM public.backup_finding
WHERE closed_at IS NULL AND (%(target)s::text IS NULL OR target = %(target)s)
UNION ALL
(
    SELECT target, check_name, subject, level, sentence, next_step, opened_at, level_since, last_seen_at,
        reopenings, closed_at
    FROM public.backup_finding
    WHERE target = %(target)s AND closed_at >= %(closed_since)s
    ORDER BY closed_at DESC
    LIMIT 50
)
ORDER BY closed_at DESC NULLS FIRST, level, opened_at DESC;
