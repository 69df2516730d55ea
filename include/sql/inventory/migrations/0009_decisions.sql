-- Who asked for what is dangerous, and who let it go on?
CREATE TABLE IF NOT EXISTS public.backup_decision (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    target      text NOT NULL,
    procedure   text NOT NULL,
    question    text NOT NULL,
    answer      text NOT NULL,
    asked_by    text NOT NULL,
    answered_by text NOT NULL,
    decided_at  timestamptz NOT NULL,
    because     text NOT NULL,
    plan_sha256 text NOT NULL,
    dag_id      text NOT NULL,
    run_id      text NOT NULL,
    UNIQUE (dag_id, run_id, decided_at)
);

CREATE INDEX IF NOT EXISTS backup_decision_newest ON public.backup_decision (target, decided_at DESC);

COMMENT ON TABLE public.backup_decision IS
    'Every answer to whether a restore, an expiry or a recovery may go on, and every one that needed none';
COMMENT ON COLUMN public.backup_decision.answer IS 'approved, rejected, refused, unanswered, not required';
COMMENT ON COLUMN public.backup_decision.because IS 'Why it was refused, or why one person went on alone; empty: nothing was said';
COMMENT ON COLUMN public.backup_decision.plan_sha256 IS 'Of the plan that was shown: an approval holds for no other';
