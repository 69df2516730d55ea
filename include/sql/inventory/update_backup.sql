-- Is this backup known already? Then bring its row up to date.
UPDATE public.backup_inventory
SET backup_type = %(backup_type)s,
    filename = %(filename)s,
    created_at = %(started_at)s AT TIME ZONE 'UTC',
    size_bytes = %(stored_bytes)s,
    checksum = %(manifest_sha256)s,
    -- What is about to be deleted stays so until it is gone, whatever the repository still shows.
    -- Whether that is so the repository says; null: it was not asked.
    status = CASE
        WHEN coalesce(%(expiring)s, status = 'expiring') THEN 'expiring'
        ELSE %(status)s
    END,
    expiry_reasons = CASE WHEN %(expiring)s = false THEN NULL ELSE expiry_reasons END,
    expired_at = NULL,
    location = left(%(location)s, 255),
    repository_id = %(repository_id)s,
    repository_location = %(location)s,
    kind = %(kind)s,
    started_at = %(started_at)s,
    finished_at = %(finished_at)s,
    plain_bytes = %(plain_bytes)s,
    objects = %(objects)s,
    encryption_keys = %(encryption_keys)s,
    system_id = %(system_id)s,
    server_version = %(server_version)s,
    database_name = %(database_name)s,
    summary = %(summary)s,
    proven_at = %(proven_at)s,
    indexed_at = now(),
    snapshot_at = %(snapshot_at)s,
    facts = %(facts)s
WHERE target = %(target)s AND label = %(label)s AND repository = %(repository)s
RETURNING id;
