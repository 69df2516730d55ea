-- Add a hold that is not known yet.
INSERT INTO public.backup_hold (
    target, label, repository, number, document_sha256, reason, who, placed_at, held_until, released_at,
    released_by, damage
)
VALUES (
    %(target)s, %(label)s, %(repository)s, %(number)s, %(document_sha256)s, %(reason)s, %(who)s, %(placed_at)s,
    %(held_until)s, %(released_at)s, %(released_by)s, %(damage)s
)
ON CONFLICT (target, label, repository, document_sha256) DO NOTHING;
