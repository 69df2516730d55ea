-- How much WAL may still be written before each replication slot is lost?
SELECT slot_name::text, safe_wal_size
FROM pg_catalog.pg_replication_slots
WHERE safe_wal_size IS NOT NULL
ORDER BY slot_name;
