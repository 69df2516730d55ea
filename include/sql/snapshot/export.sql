-- Under which name, since when and from which WAL position on may others share this transaction's snapshot?
-- "Since when" is the start of the transaction, before its locks: what was committed by then is in it for sure.
-- The position is on disk: after a crash the server stands there, or further on.
SELECT pg_catalog.pg_export_snapshot(),
       pg_catalog.transaction_timestamp(),
       CASE
           WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
           ELSE pg_catalog.pg_current_wal_flush_lsn()
       END::text;
