-- Which findings are open? Sentences are left out: metrics do not show them.
SELECT target, check_name, subject, level
FROM public.backup_finding
WHERE closed_at IS NULL
ORDER BY target, check_name, subject;
