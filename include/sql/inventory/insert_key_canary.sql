-- What did opening the oldest and the newest of a repository show? Recorded once.
INSERT INTO public.key_canary (target, repository, checked_at, opened, closed, said, step)
VALUES (%(target)s, %(repository)s, %(checked_at)s, %(opened)s, %(closed)s, %(said)s, %(step)s)
ON CONFLICT (target, repository, checked_at) DO NOTHING;
