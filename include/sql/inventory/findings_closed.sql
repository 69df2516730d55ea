-- Which findings of a target have closed since then? The newest first.
SELECT id, target, check_name, subject, level, sentence, next_step, opened_at, level_since, last_seen_at,
       absent_since, closed_at, reopenings, announced_at, announced_level, announcements, told, facts
FROM public.backup_finding
WHERE target = %(target)s AND closed_at >= %(since)s
ORDER BY closed_at DESC, id DESC;
