-- Which record of evidence was the newest that was seen in this repository?
SELECT number, sha256
FROM public.evidence_head
WHERE target = %(target)s AND repository_id = %(repository_id)s;
