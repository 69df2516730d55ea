-- What does Calibrify compute and record by itself?
CREATE FUNCTION audit.record_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, audit AS $function$
BEGIN
    INSERT INTO audit.events (occurred_at, actor, subject, change)
    VALUES (
        statement_timestamp(), session_user, TG_TABLE_NAME || '/' || NEW.id,
        jsonb_build_object('from', to_jsonb(OLD), 'to', to_jsonb(NEW))
    );
    RETURN NEW;
END
$function$;
CREATE TRIGGER record_change AFTER UPDATE ON calibrations
FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION audit.record_change();

CREATE FUNCTION next_due(equipment) RETURNS date
LANGUAGE sql STABLE AS $$ SELECT $1.last_calibrated_on + $1.interval_days $$;

CREATE VIEW overdue_equipment WITH (security_barrier) AS
SELECT id, serial, name, status, due_on
FROM equipment
WHERE status IN ('active', 'in_calibration') AND due_on < current_date;

CREATE MATERIALIZED VIEW reporting.monthly_results AS
SELECT date_trunc('month', performed_at, 'UTC') AS month, result, count(*) AS calibrations, avg(drift) AS mean_drift
FROM calibrations GROUP BY 1, 2;
CREATE UNIQUE INDEX monthly_results_key ON reporting.monthly_results (month, result);

CREATE VIEW reporting.failures AS
SELECT month, calibrations FROM reporting.monthly_results WHERE result = 'fail';

ALTER TABLE api_tokens ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_tokens ON api_tokens FOR ALL TO calibrify_app
USING (user_id = nullif(current_setting('calibrify.user_id', true), '')::integer);
