-- What was decided? Recorded once, however often it is told.
INSERT INTO public.backup_decision (
    target, procedure, question, answer, asked_by, answered_by, decided_at, because, plan_sha256, dag_id, run_id
)
VALUES (
    %(target)s, %(procedure)s, %(question)s, %(answer)s, %(asked_by)s, %(answered_by)s, %(decided_at)s,
    %(because)s, %(plan_sha256)s, %(dag_id)s, %(run_id)s
)
ON CONFLICT (dag_id, run_id, decided_at) DO NOTHING;
