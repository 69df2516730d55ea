-- Which backups are where, and in what state? One row a backup and repository.
--
-- The first eight columns are the documented inventory of the procedures, by name and type; a table that was
-- made from that text is taken over as it is, rows and all. What Backstop adds comes after them. Rows without
-- a label are not Backstop's, and it never changes them.
CREATE TABLE IF NOT EXISTS public.backup_inventory (
    id          serial PRIMARY KEY,
    backup_type varchar(50),
    filename    varchar(255),
    created_at  timestamp,
    size_bytes  bigint,
    checksum    varchar(64),
    status      varchar(20),
    location    varchar(255)
);

ALTER TABLE public.backup_inventory
    ADD COLUMN IF NOT EXISTS target              text,
    ADD COLUMN IF NOT EXISTS label               text,
    ADD COLUMN IF NOT EXISTS repository          text,
    ADD COLUMN IF NOT EXISTS repository_id       text,
    ADD COLUMN IF NOT EXISTS repository_location text,
    ADD COLUMN IF NOT EXISTS kind                text,
    ADD COLUMN IF NOT EXISTS started_at          timestamptz,
    ADD COLUMN IF NOT EXISTS finished_at         timestamptz,
    ADD COLUMN IF NOT EXISTS plain_bytes         bigint,
    ADD COLUMN IF NOT EXISTS objects             integer,
    ADD COLUMN IF NOT EXISTS encryption_keys     text[],
    ADD COLUMN IF NOT EXISTS system_id           text,
    ADD COLUMN IF NOT EXISTS server_version      integer,
    ADD COLUMN IF NOT EXISTS database_name       text,
    ADD COLUMN IF NOT EXISTS summary             jsonb,
    ADD COLUMN IF NOT EXISTS proven_at           timestamptz,
    ADD COLUMN IF NOT EXISTS indexed_at          timestamptz;

CREATE UNIQUE INDEX IF NOT EXISTS backup_inventory_backup
    ON public.backup_inventory (target, label, repository);

COMMENT ON TABLE public.backup_inventory IS
    'An index of what the repositories hold; rebuilt from them alone by: python -m backstop rebuild-inventory';
COMMENT ON COLUMN public.backup_inventory.filename IS 'Key of the manifest in the repository';
COMMENT ON COLUMN public.backup_inventory.created_at IS 'When the backup started, in UTC';
COMMENT ON COLUMN public.backup_inventory.size_bytes IS 'Stored, that is compressed and encrypted';
COMMENT ON COLUMN public.backup_inventory.checksum IS 'SHA-256 of the manifest, which names that of every object';
COMMENT ON COLUMN public.backup_inventory.status IS
    'completed, proven, failed (its verification), expiring, expired, missing (from its repository)';
COMMENT ON COLUMN public.backup_inventory.location IS
    'Where the repository is; its first 255 characters, whole in repository_location';
COMMENT ON COLUMN public.backup_inventory.plain_bytes IS 'Before compression';
COMMENT ON COLUMN public.backup_inventory.proven_at IS 'When the newest verification matched; null when it did not';
COMMENT ON COLUMN public.backup_inventory.indexed_at IS 'When the repository was last seen to hold it';
