-- When was the oldest and the newest of everything last opened as a restore would open it, and did it open?
CREATE TABLE IF NOT EXISTS public.key_canary (
    target     text NOT NULL,
    repository text NOT NULL,
    checked_at timestamptz NOT NULL,
    opened     integer NOT NULL,
    closed     integer NOT NULL,
    said       text NOT NULL,
    step       text NOT NULL,
    PRIMARY KEY (target, repository, checked_at)
);

COMMENT ON TABLE public.key_canary IS 'One row a check of the keys of one repository, with the credentials of who restores';
COMMENT ON COLUMN public.key_canary.closed IS 'Objects that did not open; said names the first of them, step what to do';
