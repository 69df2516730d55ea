-- What was decided, of one target or of all, the newest first?
SELECT target, procedure, question, answer, asked_by, answered_by, decided_at, because, plan_sha256, dag_id, run_id
FROM public.backup_decision
WHERE target = coalesce(%(target)s, target)
ORDER BY decided_at DESC, id DESC
LIMIT %(limit)s;
