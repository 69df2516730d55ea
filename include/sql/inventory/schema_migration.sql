-- Which migrations has this inventory had?
CREATE TABLE IF NOT EXISTS public.backup_schema_migration (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
