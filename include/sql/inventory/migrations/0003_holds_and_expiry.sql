-- Which backups must stay, and why? What became of those that have gone?
CREATE TABLE IF NOT EXISTS public.backup_hold (
    id              bigserial PRIMARY KEY,
    target          text NOT NULL,
    label           text NOT NULL,
    repository      text NOT NULL,
    number          integer NOT NULL,
    document_sha256 text NOT NULL,
    reason          text NOT NULL,
    who             text NOT NULL,
    placed_at       timestamptz,
    held_until      timestamptz,
    released_at     timestamptz,
    released_by     text,
    damage          text,
    missing         boolean NOT NULL DEFAULT false
);

CREATE UNIQUE INDEX IF NOT EXISTS backup_hold_document
    ON public.backup_hold (target, label, repository, document_sha256);

ALTER TABLE public.backup_inventory
    ADD COLUMN IF NOT EXISTS expiry_reasons text[],
    ADD COLUMN IF NOT EXISTS expired_at     timestamptz;

COMMENT ON TABLE public.backup_hold IS
    'An index of the holds in the repositories: one row a hold and repository, released ones too';
COMMENT ON COLUMN public.backup_hold.number IS 'Of its document in that repository: what release-hold is told';
COMMENT ON COLUMN public.backup_hold.placed_at IS 'Null when the document cannot be read';
COMMENT ON COLUMN public.backup_hold.held_until IS 'Null: until it is released';
COMMENT ON COLUMN public.backup_hold.damage IS
    'Why its document, or a release of it, cannot be believed; such a hold is in force';
COMMENT ON COLUMN public.backup_hold.missing IS
    'Its document has gone while the backup is still there, which nothing of ours does';
COMMENT ON COLUMN public.backup_inventory.expiry_reasons IS 'Why it was let go, a sentence each; null while it stays';
COMMENT ON COLUMN public.backup_inventory.expired_at IS 'When the last of it was removed; null while it stays';
