-- Which server is this, since when, and may this role take a base backup of its files?
SELECT current_user::text,
       pg_catalog.current_database()::text,
       pg_catalog.pg_is_in_recovery(),
       pg_catalog.current_setting('server_version_num')::int,
       pg_catalog.current_setting('port')::int,
       pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time()),
       ARRAY(
           SELECT name
           FROM pg_catalog.unnest(ARRAY[
               'pg_backup_start(text, boolean)', 'pg_backup_stop(boolean)', 'pg_control_checkpoint()'
           ]) AS name
           WHERE NOT pg_catalog.has_function_privilege('pg_catalog.' || name, 'EXECUTE')
       )::text[];
