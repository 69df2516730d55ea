-- Of which findings may somebody have to be told: those that are open, and those whose end is not told?
SELECT id, target, check_name, subject, level, sentence, next_step, opened_at, level_since, last_seen_at,
       absent_since, closed_at, reopenings, announced_at, announced_level, announcements, told, facts
FROM public.backup_finding
WHERE NOT settled
ORDER BY id;
