-- Which findings are open, of all targets or of one? The worst first.
SELECT id, target, check_name, subject, level, sentence, next_step, opened_at, level_since, last_seen_at,
       absent_since, closed_at, reopenings, announced_at, announced_level, announcements, told, facts
FROM public.backup_finding
WHERE closed_at IS NULL AND (%(target)s::text IS NULL OR target = %(target)s)
ORDER BY level, target, check_name, subject;
