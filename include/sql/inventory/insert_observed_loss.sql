-- What would have been lost when this watch looked?
INSERT INTO public.backup_observed_loss (target, repository, observed_at, seconds)
VALUES (%(target)s, %(repository)s, %(observed_at)s, %(seconds)s)
ON CONFLICT DO NOTHING;
