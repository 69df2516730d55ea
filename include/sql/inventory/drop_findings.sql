-- Findings about targets that targets.yaml has no longer, and one that ran out, close without a word.
UPDATE public.backup_finding
SET closed_at = greatest(%(now)s, opened_at), settled = true
WHERE closed_at IS NULL AND (
    (target = %(target)s AND check_name = %(check_name)s AND subject = %(subject)s)
    OR (%(known)s::text[] IS NOT NULL AND target <> ALL(%(known)s))
);
