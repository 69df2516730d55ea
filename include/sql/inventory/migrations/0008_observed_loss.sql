-- What would have been lost at past moments, as watches saw it then?
CREATE TABLE IF NOT EXISTS public.backup_observed_loss (
    target      text NOT NULL,
    repository  text NOT NULL,
    observed_at timestamptz NOT NULL,
    seconds     double precision,
    PRIMARY KEY (target, repository, observed_at)
);

COMMENT ON TABLE public.backup_observed_loss IS
    'By each watch and for each repository: at most so much of the cluster''s past it could not have brought back';
COMMENT ON COLUMN public.backup_observed_loss.seconds IS 'NULL: it could not be told';
