-- Which drills and incidents were there, what did they measure, and where does each chain of evidence end?
CREATE TABLE IF NOT EXISTS public.backup_drill (
    target         text NOT NULL,
    drill_id       text NOT NULL,
    scenario       text NOT NULL,
    began_at       timestamptz NOT NULL,
    ended_at       timestamptz NOT NULL,
    passed         boolean NOT NULL,
    objectives_met boolean,
    signed_off_by  text,
    signed_off_at  timestamptz,
    accepted       boolean,
    document       jsonb NOT NULL,
    PRIMARY KEY (target, drill_id)
);

CREATE INDEX IF NOT EXISTS backup_drill_newest ON public.backup_drill (target, ended_at);

CREATE TABLE IF NOT EXISTS public.backup_incident (
    target      text NOT NULL,
    incident_id text NOT NULL,
    declared_at timestamptz NOT NULL,
    closed_at   timestamptz,
    document    jsonb NOT NULL,
    PRIMARY KEY (target, incident_id)
);

CREATE TABLE IF NOT EXISTS public.evidence_head (
    target        text NOT NULL,
    repository_id text NOT NULL,
    number        integer NOT NULL,
    sha256        text NOT NULL,
    recorded_at   timestamptz NOT NULL,
    PRIMARY KEY (target, repository_id)
);

COMMENT ON TABLE public.backup_drill IS 'An index of rehearsed disasters; the signed records are in the repositories';
COMMENT ON TABLE public.backup_incident IS 'An index of real ones; their journals are in the repositories';
COMMENT ON TABLE public.evidence_head IS
    'The newest record of evidence seen in each repository: one that has fewer has lost some';
