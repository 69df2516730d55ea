-- Who was told of a finding, and what does whoever reported it remember?
ALTER TABLE public.backup_finding ADD COLUMN IF NOT EXISTS told jsonb NOT NULL DEFAULT '{}';
ALTER TABLE public.backup_finding ADD COLUMN IF NOT EXISTS facts jsonb NOT NULL DEFAULT '{}';
ALTER TABLE public.backup_finding ADD COLUMN IF NOT EXISTS settled boolean NOT NULL DEFAULT false;

CREATE INDEX IF NOT EXISTS backup_finding_unsettled
    ON public.backup_finding (id) WHERE NOT settled;

COMMENT ON COLUMN public.backup_finding.told IS
    'By channel: when it was last told of this, of what level, and whether of its end';
COMMENT ON COLUMN public.backup_finding.settled IS 'It is closed, and nobody has to be told any more';
