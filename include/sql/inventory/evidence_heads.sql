-- Where did each of the target's chains of evidence end when it was last seen?
SELECT repository_id, number, sha256
FROM public.evidence_head
WHERE target = %(target)s;
