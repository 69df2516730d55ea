-- Add a verification, unless it is known.
INSERT INTO public.backup_proof (
    target, label, repository, manifest_sha256, started_at, finished_at, matched, differences, seconds, checks,
    server_version, isolation, host, signing_key
)
SELECT
    %(target)s, %(label)s, %(repository)s, %(manifest_sha256)s, %(started_at)s, %(finished_at)s, %(matched)s,
    %(differences)s, %(seconds)s, %(checks)s, %(server_version)s, %(isolation)s, %(host)s, %(signing_key)s
WHERE NOT EXISTS (
    SELECT FROM public.backup_proof
    WHERE target = %(target)s AND label = %(label)s AND repository = %(repository)s
        AND finished_at = %(finished_at)s
)
ON CONFLICT (target, label, repository, finished_at) DO NOTHING;
