-- Which timeline was it on at its last checkpoint?
SELECT timeline_id FROM pg_catalog.pg_control_checkpoint();
