-- From where in the WAL does recovery of the copy begin that is made from now on?
SELECT pg_catalog.pg_backup_start(label => %s, fast => true)::text;
