-- Who said what of this drill?
UPDATE public.backup_drill SET
    signed_off_by = %(by)s,
    signed_off_at = %(at)s,
    accepted = %(accepted)s,
    document = document || jsonb_build_object('sign_off', %(document)s::jsonb)
WHERE target = %(target)s AND drill_id = %(drill_id)s
RETURNING drill_id;
