-- What does the watch know of each target now, and what has it found wrong?
CREATE TABLE IF NOT EXISTS public.backup_observation (
    target      text PRIMARY KEY,
    observed_at timestamptz NOT NULL,
    document    jsonb NOT NULL
);

CREATE TABLE IF NOT EXISTS public.backup_finding (
    id              bigserial PRIMARY KEY,
    target          text NOT NULL,
    check_name      text NOT NULL,
    subject         text NOT NULL,
    level           text NOT NULL,
    sentence        text NOT NULL,
    next_step       text NOT NULL,
    opened_at       timestamptz NOT NULL,
    level_since     timestamptz NOT NULL,
    last_seen_at    timestamptz NOT NULL,
    absent_since    timestamptz,
    closed_at       timestamptz,
    announced_at    timestamptz,
    announced_level text,
    announcements   integer NOT NULL DEFAULT 0,
    reopenings      integer NOT NULL DEFAULT 0
);

CREATE UNIQUE INDEX IF NOT EXISTS backup_finding_open
    ON public.backup_finding (target, check_name, subject) WHERE closed_at IS NULL;
CREATE INDEX IF NOT EXISTS backup_finding_closed
    ON public.backup_finding (target, closed_at) WHERE closed_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS backup_inventory_newest
    ON public.backup_inventory (target, kind, finished_at DESC);

COMMENT ON TABLE public.backup_observation IS
    'What the newest watch saw of each target; what pages and metrics show. It can be lost: the next watch makes it';
COMMENT ON TABLE public.backup_finding IS
    'What was found wrong: one row from its opening to its close; at most one open for target, check and subject';
COMMENT ON COLUMN public.backup_finding.level IS 'warning or critical, now';
COMMENT ON COLUMN public.backup_finding.absent_since IS
    'Not found any more since then; it closes when that lasts, so that flapping makes one finding';
COMMENT ON COLUMN public.backup_finding.announced_at IS 'When somebody was last told; null: not yet';
COMMENT ON COLUMN public.backup_finding.reopenings IS 'How often it came back before it could close';
