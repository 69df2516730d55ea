-- What did each verification of a backup find?
CREATE TABLE IF NOT EXISTS public.backup_proof (
    id              bigserial PRIMARY KEY,
    target          text NOT NULL,
    label           text NOT NULL,
    repository      text NOT NULL,
    manifest_sha256 text NOT NULL,
    started_at      timestamptz NOT NULL,
    finished_at     timestamptz NOT NULL,
    matched         boolean NOT NULL,
    differences     text[] NOT NULL,
    seconds         jsonb NOT NULL,
    checks          jsonb NOT NULL,
    server_version  integer NOT NULL,
    isolation       text NOT NULL,
    host            text NOT NULL,
    signing_key     text
);

CREATE UNIQUE INDEX IF NOT EXISTS backup_proof_verification
    ON public.backup_proof (target, label, repository, finished_at);

COMMENT ON TABLE public.backup_proof IS
    'An index of the signed proofs in the repositories: one row a restore that was compared';
COMMENT ON COLUMN public.backup_proof.differences IS 'Empty when it matched; else a sentence each';
COMMENT ON COLUMN public.backup_proof.seconds IS 'By phase: fetch, restore, compare, probe, total';
