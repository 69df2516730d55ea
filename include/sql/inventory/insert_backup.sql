-- Add a backup that is not known yet. Whoever added it in the meantime read the same manifest.
INSERT INTO public.backup_inventory (
    backup_type, filename, created_at, size_bytes, checksum, status, location,
    target, label, repository, repository_id, repository_location, kind, started_at, finished_at,
    plain_bytes, objects, encryption_keys, system_id, server_version, database_name, summary, proven_at,
    indexed_at, snapshot_at, facts
)
VALUES (
    %(backup_type)s, %(filename)s, %(started_at)s AT TIME ZONE 'UTC', %(stored_bytes)s, %(manifest_sha256)s,
    CASE WHEN %(expiring)s THEN 'expiring' ELSE %(status)s END, left(%(location)s, 255),
    %(target)s, %(label)s, %(repository)s, %(repository_id)s, %(location)s, %(kind)s, %(started_at)s,
    %(finished_at)s, %(plain_bytes)s, %(objects)s, %(encryption_keys)s, %(system_id)s, %(server_version)s,
    %(database_name)s, %(summary)s, %(proven_at)s, now(),
    %(snapshot_at)s, %(facts)s
)
ON CONFLICT (target, label, repository) DO NOTHING;
