-- Is this hold known already? Then bring its row up to date.
UPDATE public.backup_hold
SET number = %(number)s,
    reason = %(reason)s,
    who = %(who)s,
    placed_at = %(placed_at)s,
    held_until = %(held_until)s,
    released_at = %(released_at)s,
    released_by = %(released_by)s,
    damage = %(damage)s,
    missing = false
WHERE target = %(target)s AND label = %(label)s AND repository = %(repository)s
    AND document_sha256 = %(document_sha256)s
RETURNING id;
