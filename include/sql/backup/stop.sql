-- Where in the WAL is the copy consistent, and what do backup_label and tablespace_map say, byte by byte?
SELECT lsn::text,
       pg_catalog.convert_to(labelfile, pg_catalog.getdatabaseencoding()),
       pg_catalog.convert_to(spcmapfile, pg_catalog.getdatabaseencoding())
FROM pg_catalog.pg_backup_stop(wait_for_archive => false);
