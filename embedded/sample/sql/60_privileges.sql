-- Who may do what, and what is everything for?
GRANT USAGE ON SCHEMA public, audit, reporting TO calibrify_app, calibrify_readonly;
GRANT SELECT ON ALL TABLES IN SCHEMA public, audit, reporting TO calibrify_readonly;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO calibrify_app;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO calibrify_app;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public, audit TO calibrify_readonly;
GRANT SELECT ON ALL TABLES IN SCHEMA reporting TO calibrify_app;
REVOKE UPDATE ON users FROM calibrify_app;
GRANT UPDATE (full_name, preferences, last_login_at) ON users TO calibrify_app;
REVOKE EXECUTE ON FUNCTION audit.record_change() FROM PUBLIC;

DO $$
DECLARE
    scan oid;
BEGIN
    FOR scan IN SELECT oid FROM pg_largeobject_metadata LOOP
        EXECUTE format('GRANT SELECT ON LARGE OBJECT %s TO calibrify_app, calibrify_readonly', scan);
    END LOOP;
    EXECUTE $comment$COMMENT ON LARGE OBJECT 880001 IS 'Scan of the first certificate'$comment$;
END
$$;

ALTER DEFAULT PRIVILEGES FOR ROLE calibrify_owner IN SCHEMA public
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO calibrify_app;
ALTER DEFAULT PRIVILEGES FOR ROLE calibrify_owner GRANT SELECT ON TABLES TO calibrify_readonly;
ALTER DEFAULT PRIVILEGES FOR ROLE calibrify_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

COMMENT ON TABLE equipment IS 'Everything that has to be calibrated';
COMMENT ON COLUMN equipment.due_on IS 'Generated: last calibration plus interval';
COMMENT ON COLUMN equipment.photo_path IS 'Below the media directory';
COMMENT ON TABLE calibrations IS 'One calibration of one piece of equipment';
COMMENT ON TABLE measurements IS 'Readings of a calibration, one partition a month';
COMMENT ON TABLE certificates IS 'Issued documents; a scan is a large object';
COMMENT ON MATERIALIZED VIEW reporting.monthly_results IS 'Refreshed nightly';
COMMENT ON FUNCTION audit.record_change() IS 'Writes who changed what';
COMMENT ON TYPE calibration_result IS 'As printed on the certificate';
COMMENT ON SCHEMA audit IS 'Written by triggers only';
