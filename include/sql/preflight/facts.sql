-- What kind of server is this, and who are we on it?
SELECT current_setting('server_version_num')::integer AS server_version,
       current_database() AS database,
       pg_catalog.pg_is_in_recovery() AS in_recovery,
       pg_catalog.pg_backend_pid() AS backend_pid,
       me.rolsuper AS is_superuser,
       me.rolreplication AS may_replicate,
       (SELECT rolname FROM pg_catalog.pg_roles WHERE oid = 10) AS bootstrap_superuser,
       current_setting('max_locks_per_transaction')::integer
           * (current_setting('max_connections')::integer
              + current_setting('max_prepared_transactions')::integer) AS lock_capacity,
       pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT') AS role_passwords,
       pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') AS may_identify,
       pg_catalog.has_function_privilege('pg_catalog.pg_control_checkpoint()', 'EXECUTE') AS may_see_timeline,
       CASE
           WHEN pg_catalog.pg_is_in_recovery() THEN coalesce(pg_catalog.pg_last_wal_replay_lsn(), '0/0')
           ELSE pg_catalog.pg_current_wal_lsn()
       END::text AS lsn,
       -- Of what is being written: pg_control may have the former one for minutes after a promotion.
       CASE
           WHEN NOT pg_catalog.pg_is_in_recovery()
               THEN pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8)
       END AS timeline
FROM pg_catalog.pg_roles AS me
WHERE me.rolname = current_user;
