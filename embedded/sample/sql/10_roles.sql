-- Who owns, uses, reads and audits Calibrify? (Run in the maintenance database; existing roles stay as they are.)
DO $$
BEGIN
    IF to_regrole('calibrify_owner') IS NULL THEN
        CREATE ROLE calibrify_owner NOLOGIN;
        COMMENT ON ROLE calibrify_owner IS 'Owns Calibrify''s objects; nobody logs in as it';
    END IF;
    IF to_regrole('calibrify_readonly') IS NULL THEN
        CREATE ROLE calibrify_readonly NOLOGIN;
        COMMENT ON ROLE calibrify_readonly IS 'May read all of Calibrify';
    END IF;
    IF to_regrole('calibrify_app') IS NULL THEN
        CREATE ROLE calibrify_app LOGIN CONNECTION LIMIT 250;
        COMMENT ON ROLE calibrify_app IS 'The web application and its workers';
    END IF;
    IF to_regrole('calibrify_auditor') IS NULL THEN
        CREATE ROLE calibrify_auditor LOGIN CONNECTION LIMIT 5;
        COMMENT ON ROLE calibrify_auditor IS 'Quality management: reads, never writes';
        GRANT calibrify_readonly TO calibrify_auditor;
    END IF;
END
$$;
