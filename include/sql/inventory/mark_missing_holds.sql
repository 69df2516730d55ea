-- Which holds does the inventory know that the repository no longer has, although it has their backups?
UPDATE public.backup_hold
SET missing = true
WHERE target = %(target)s AND repository = %(repository)s AND label = ANY (%(labels)s)
    AND document_sha256 <> ALL (%(present)s) AND NOT missing
RETURNING label, number;
