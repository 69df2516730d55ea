-- What did the newest check of the keys show, of each repository of the target?
SELECT DISTINCT ON (repository) target, repository, checked_at, opened, closed, said, step
FROM public.key_canary
WHERE target = %(target)s
ORDER BY repository, checked_at DESC;
