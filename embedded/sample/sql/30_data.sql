-- What does Calibrify hold? Every value is a hash of its row number and the seed (pg_temp.draw), never
-- random(), so the same seed and scale give the same bytes on every run and every server version.
INSERT INTO users (email, full_name, role, password_hash, preferences, is_active, created_at, last_login_at)
SELECT
    format('user%s@calibrify.example', n),
    (ARRAY['Ada', 'Björn', 'Chloé', 'Dmitri', 'Eşref', 'Fatou', 'Grażyna', 'Hiro'])[1 + pg_temp.draw(n, 1, 8)]
        || ' ' || (ARRAY['Abel', 'Ørsted', 'Çelik', 'Novák', 'Müller', 'Sørensen'])[1 + pg_temp.draw(n, 2, 6)],
    (ARRAY['technician', 'technician', 'reviewer', 'manager', 'admin'])[1 + pg_temp.draw(n, 3, 5)],
    'scrypt$16384$8$1$' || md5(pg_temp.draw(n, 4, 9000000000000)::text),
    jsonb_build_object('theme', (ARRAY['light', 'dark'])[1 + pg_temp.draw(n, 5, 2)], 'rows', 25 * (1 + pg_temp.draw(n, 6, 4))),
    pg_temp.draw(n, 7, 20) > 0,
    timestamptz '2025-06-01 08:00+00' + pg_temp.draw(n, 8, 10000000) * interval '1 second',
    CASE WHEN pg_temp.draw(n, 9, 10) > 0
        THEN timestamptz '2026-11-01 06:00+00' + pg_temp.draw(n, 10, 1500000000) * interval '1 millisecond' END
FROM generate_series(1, current_setting('sample.users')::bigint) AS n;

INSERT INTO equipment (
    serial, name, manufacturer, status, measuring_range, tolerance, tags, photo_path,
    last_calibrated_on, interval_days, keeper_id, notes
)
SELECT
    (ARRAY['PT', 'TC', 'DM', 'SC', 'PG'])[1 + pg_temp.draw(n, 21, 5)] || '-' || lpad(n::text, 6, '0'),
    (ARRAY['Pressure transmitter', 'Thermocouple', 'Multimeter', 'Precision scale', 'Gauge'])[1 + pg_temp.draw(n, 21, 5)]
        || ' ' || chr(65 + pg_temp.draw(n, 22, 26)::integer) || pg_temp.draw(n, 23, 100),
    (ARRAY['Mettler', 'Fluke', 'Endress+Hauser', 'WIKA', 'Keysight'])[1 + pg_temp.draw(n, 24, 5)],
    (ARRAY['active', 'active', 'active', 'in_calibration', 'retired', 'lost'])[1 + pg_temp.draw(n, 25, 6)],
    numrange((-1 * pg_temp.draw(n, 26, 200))::numeric, (1 + pg_temp.draw(n, 27, 20000))::numeric / 10, '[]'),
    pg_temp.draw(n, 28, 500)::numeric / 100,
    ARRAY['site:' || pg_temp.draw(n, 29, 12), 'room ' || pg_temp.draw(n, 30, 40)],
    CASE WHEN n <= current_setting('sample.photos')::bigint
        THEN format('equipment/%s/%s.jpg', lpad((n / 100)::text, 3, '0'), lpad(n::text, 6, '0')) END,
    date '2026-01-01' + pg_temp.draw(n, 31, 300)::integer,
    (ARRAY[90, 180, 365, 730])[1 + pg_temp.draw(n, 32, 4)],
    1 + pg_temp.draw(n, 33, current_setting('sample.users')::bigint),
    CASE WHEN pg_temp.draw(n, 34, 4) = 0 THEN 'Handle with care: "zero" drifts, see file C:\cal\' || n || E'\nand\tcall first' END
FROM generate_series(1, current_setting('sample.equipment')::bigint) AS n;

INSERT INTO calibrations (
    equipment_id, technician_id, reviewer_id, performed_at, duration, result, as_found, as_left, drift,
    conditions, remarks
)
SELECT
    1 + pg_temp.draw(n, 41, current_setting('sample.equipment')::bigint),
    1 + pg_temp.draw(n, 42, current_setting('sample.users')::bigint),
    CASE WHEN pg_temp.draw(n, 43, 8) > 0 THEN 1 + pg_temp.draw(n, 44, current_setting('sample.users')::bigint) END,
    timestamptz '2025-12-01 00:00+00'
        + (n * 31000000 / current_setting('sample.calibrations')::bigint) * interval '1 second',
    (300 + pg_temp.draw(n, 45, 5000)) * interval '1 second',
    (ARRAY['pass', 'pass', 'pass', 'adjusted', 'fail']::calibration_result[])[1 + pg_temp.draw(n, 46, 5)],
    pg_temp.draw(n, 47, 100000000)::numeric / 1000000,
    pg_temp.draw(n, 48, 100000000)::numeric / 1000000,
    (pg_temp.draw(n, 49, 2000001) - 1000000)::double precision / 1048576,
    jsonb_build_object(
        'celsius', (18000 + pg_temp.draw(n, 50, 6000))::numeric / 1000,
        'humidity', pg_temp.draw(n, 51, 100),
        'standards', jsonb_build_array('STD-' || pg_temp.draw(n, 52, 60), 'STD-' || pg_temp.draw(n, 53, 60))
    ),
    CASE WHEN pg_temp.draw(n, 54, 10) = 0 THEN 'Bemerkung № ' || n || ': Δ über Grenzwert — wiederholt' END
FROM generate_series(1, current_setting('sample.calibrations')::bigint) AS n;

INSERT INTO measurements (calibration_id, taken_at, channel, nominal, reading, uncertainty, detail)
SELECT
    c,
    timestamptz '2025-12-01 00:00+00'
        + (c * 31000000 / current_setting('sample.calibrations')::bigint) * interval '1 second'
        + (n % 10) * interval '7.25 seconds',
    n % 10,
    (n % 10) * 12.5,
    (n % 10) * 12.5 + (pg_temp.draw(n, 61, 200001) - 100000)::numeric / 1000000,
    pg_temp.draw(n, 62, 65536)::real / 16777216,
    jsonb_build_object(
        'unit', (ARRAY['kPa', '°C', 'V', 'g'])[1 + pg_temp.draw(c, 63, 4)],
        'settled', pg_temp.draw(n, 64, 16) > 0,
        'raw', jsonb_build_array(pg_temp.draw(n, 65, 1048576), pg_temp.draw(n, 66, 1048576), pg_temp.draw(n, 67, 1048576))
    )
FROM generate_series(0, current_setting('sample.measurements')::bigint - 1) AS n,
    LATERAL (SELECT 1 + n / 10 AS c) AS calibration;

-- A scan is a large object under a fixed oid, so that the same row always names the same object.
SELECT lo_from_bytea(
    (880000 + n)::oid,
    decode(
        (SELECT string_agg(md5(n || '/' || block || '/' || current_setting('sample.seed')), '' ORDER BY block)
         FROM generate_series(1, 4096 + pg_temp.draw(n, 71, 8192)) AS block),
        'hex'
    )
) FROM generate_series(1, current_setting('sample.scans')::bigint) AS n;

INSERT INTO certificates (calibration_id, issued_at, valid_during, document, scan)
SELECT
    n * 5,
    timestamptz '2025-12-02 09:00+00'
        + (n * 31000000 / current_setting('sample.certificates')::bigint) * interval '1 second',
    daterange(date '2025-12-02' + (n % 360)::integer, date '2026-12-02' + (n % 360)::integer),
    '\x255044462d312e370a'::bytea || decode(
        (SELECT string_agg(md5(n || ':' || block || ':' || current_setting('sample.seed')), '' ORDER BY block)
         FROM generate_series(1, 60 + pg_temp.draw(n, 72, 120)) AS block),
        'hex'
    ),
    CASE WHEN n <= current_setting('sample.scans')::bigint THEN (880000 + n)::oid END
FROM generate_series(1, current_setting('sample.certificates')::bigint) AS n;

INSERT INTO api_tokens (user_id, token_sha256, issued_at, scopes)
SELECT
    n, sha256(convert_to(n || current_setting('sample.seed'), 'UTF8')),
    timestamptz '2026-10-01 00:00+00' + n * interval '1 hour', ARRAY['read', 'write:calibrations']
FROM generate_series(1, current_setting('sample.users')::bigint, 3) AS n;

INSERT INTO audit.events (occurred_at, actor, subject, change)
SELECT
    timestamptz '2026-01-01 00:00+00' + n * interval '37 seconds',
    'user' || (1 + pg_temp.draw(n, 81, current_setting('sample.users')::bigint)),
    'calibrations/' || (1 + pg_temp.draw(n, 82, current_setting('sample.calibrations')::bigint)),
    jsonb_build_object('field', 'result', 'from', 'pass', 'to', (ARRAY['adjusted', 'fail'])[1 + pg_temp.draw(n, 83, 2)])
FROM generate_series(1, current_setting('sample.calibrations')::bigint / 3) AS n;

INSERT INTO sessions (id, user_id, payload)
SELECT md5('session ' || n)::uuid, n, jsonb_build_object('csrf', md5('csrf ' || n))
FROM generate_series(1, current_setting('sample.users')::bigint, 2) AS n;
