-- What does a manifest say besides its objects? So that who looks every few minutes need not read it again.
ALTER TABLE public.backup_inventory
    ADD COLUMN IF NOT EXISTS snapshot_at timestamptz,
    ADD COLUMN IF NOT EXISTS facts       jsonb;

COMMENT ON COLUMN public.backup_inventory.snapshot_at IS
    'The moment whose data it is; null: entered before this column was there';
COMMENT ON COLUMN public.backup_inventory.facts IS
    'The manifest without its objects, tools, summary and signature; null: entered before this column was there';
