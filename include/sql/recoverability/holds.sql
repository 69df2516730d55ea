-- Which holds on backups of this target are in force, each named once? Whatever cannot be believed is.
SELECT label, array_agg(repository ORDER BY repository), reason, who, min(placed_at), max(held_until),
    bool_or(held_until IS NULL), max(damage)
FROM public.backup_hold
WHERE target = %(target)s AND released_at IS NULL AND NOT missing
    AND (held_until IS NULL OR held_until > %(now)s)
    AND (%(label)s::text IS NULL OR label = %(label)s)
GROUP BY label, document_sha256, reason, who
ORDER BY label DESC, min(placed_at);
