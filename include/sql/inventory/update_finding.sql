-- How does an open finding stand after the newest watch?
UPDATE public.backup_finding
SET level = %(level)s, sentence = %(sentence)s, next_step = %(next_step)s, opened_at = %(opened_at)s,
    level_since = %(level_since)s, last_seen_at = %(last_seen_at)s, absent_since = %(absent_since)s,
    closed_at = %(closed_at)s, reopenings = %(reopenings)s, facts = %(facts)s
WHERE id = %(id)s;
