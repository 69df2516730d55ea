-- Nobody has to be told any more of findings that have closed.
UPDATE public.backup_finding SET settled = true WHERE id = ANY(%(ids)s) AND closed_at IS NOT NULL;
