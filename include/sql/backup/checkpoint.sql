-- Which checkpoint does the server's own pg_control name?
SELECT checkpoint_lsn::text, redo_lsn::text, timeline_id FROM pg_catalog.pg_control_checkpoint();
