-- A finding opens.
INSERT INTO public.backup_finding
    (target, check_name, subject, level, sentence, next_step, opened_at, level_since, last_seen_at,
     reopenings, facts)
VALUES (%(target)s, %(check_name)s, %(subject)s, %(level)s, %(sentence)s, %(next_step)s, %(opened_at)s,
        %(level_since)s, %(last_seen_at)s, %(reopenings)s, %(facts)s);
