-- Which drill was this? One that is signed off stays so when its unsigned record is read again.
INSERT INTO public.backup_drill AS known (
    target, drill_id, scenario, began_at, ended_at, passed, objectives_met,
    signed_off_by, signed_off_at, accepted, document
)
VALUES (
    %(target)s, %(drill_id)s, %(scenario)s, %(began_at)s, %(ended_at)s, %(passed)s, %(objectives_met)s,
    %(signed_off_by)s, %(signed_off_at)s, %(accepted)s, %(document)s
)
ON CONFLICT (target, drill_id) DO UPDATE SET
    scenario = excluded.scenario,
    began_at = excluded.began_at,
    ended_at = excluded.ended_at,
    passed = excluded.passed,
    objectives_met = excluded.objectives_met,
    signed_off_by = coalesce(excluded.signed_off_by, known.signed_off_by),
    signed_off_at = coalesce(excluded.signed_off_at, known.signed_off_at),
    accepted = coalesce(excluded.accepted, known.accepted),
    document = CASE
        WHEN excluded.signed_off_at IS NULL AND known.signed_off_at IS NOT NULL
            THEN excluded.document || jsonb_build_object('sign_off', known.document -> 'sign_off')
        ELSE excluded.document
    END;
