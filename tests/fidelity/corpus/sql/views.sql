-- Do views and materialised views come back, though the server rewrites their definitions on every restore?
CREATE TABLE orders (
    id integer PRIMARY KEY,
    status varchar(20) NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'paid', 'sent')),
    kind varchar CHECK (kind NOT IN ('x', 'y') OR kind = ANY (ARRAY['z', 'w'])),
    code char(3) CHECK (code IN ('abc', 'def')),
    amount numeric(10, 2)
);
INSERT INTO orders SELECT n, (ARRAY['new', 'paid', 'sent'])[1 + n % 3], 'z', 'abc', n * 1.5 FROM generate_series(1, 60) AS n;
ALTER TABLE orders ADD CONSTRAINT spelled_out CHECK (((status)::text = ANY ((ARRAY['new'::character varying, 'paid'::character varying, 'sent'::character varying])::text[])));
CREATE INDEX open_orders ON orders (id) WHERE status IN ('new', 'paid');
CREATE INDEX by_status ON orders ((CASE WHEN status IN ('new', 'paid') THEN 'open' ELSE 'done' END));
CREATE VIEW open_orders_view AS SELECT * FROM orders WHERE status IN ('new', 'paid') AND kind LIKE 'z%' AND code <> 'def';
CREATE VIEW nested AS SELECT status, sum(amount) AS total FROM open_orders_view GROUP BY status HAVING sum(amount) > 0;
CREATE VIEW "joined with using" AS SELECT * FROM orders JOIN (SELECT id, 'x'::varchar AS status2 FROM orders) AS o USING (id) ORDER BY id DESC;
CREATE VIEW grouped_by_key AS SELECT id, status, amount, count(*) FROM orders GROUP BY id;
CREATE VIEW checked AS SELECT id, status FROM orders WHERE amount > 0 WITH LOCAL CHECK OPTION;
CREATE RECURSIVE VIEW countdown (n) AS SELECT 5 UNION ALL SELECT n - 1 FROM countdown WHERE n > 0;
CREATE VIEW windowed AS SELECT id, rank() OVER w AS r, lag(amount, 1, 0.0) OVER w FROM orders WINDOW w AS (PARTITION BY status ORDER BY amount DESC NULLS LAST);
CREATE VIEW grouping AS SELECT status, code, sum(amount) FROM orders GROUP BY GROUPING SETS ((status), (code), ());
CREATE VIEW odd_expressions AS
SELECT id, amount IS DISTINCT FROM 1 AS d, (amount, id) > (1, 2) AS r, status || '::text' AS "::text",
    extract(epoch FROM '2026-01-01'::timestamptz) AS e, COALESCE(kind, 'x')::char(1) AS c, ARRAY[id, 2] AS a,
    EXISTS (SELECT FROM orders AS o2 WHERE o2.id > orders.id) AS more, 'a' COLLATE "C" < 'b' AS l, NULL::varchar(3) AS n,
    status SIMILAR TO '(new|paid)%' AS s, amount BETWEEN SYMMETRIC 5 AND 1 AS b, current_user = 'x' AS u
FROM orders;
-- Each needs the other: the dump has to break the circle with a dummy view.
CREATE VIEW ring AS SELECT 1 AS a, 2 AS b;
CREATE FUNCTION read_ring() RETURNS SETOF ring LANGUAGE sql AS 'SELECT * FROM views.ring';
CREATE OR REPLACE VIEW ring AS SELECT 1 AS a, 2 AS b WHERE EXISTS (SELECT 1 FROM read_ring() LIMIT 0);

CREATE MATERIALIZED VIEW first_level AS SELECT status, count(*) AS n FROM orders WHERE status IN ('new', 'sent') GROUP BY status;
CREATE UNIQUE INDEX ON first_level (status);
CREATE MATERIALIZED VIEW second_level AS SELECT sum(n) AS n FROM first_level;
CREATE MATERIALIZED VIEW aaa_third_level WITH (fillfactor = 70) AS SELECT n * 2 AS n FROM second_level UNION ALL SELECT sum(total) FROM nested;
CREATE MATERIALIZED VIEW never_filled AS SELECT * FROM orders WITH NO DATA;
CREATE VIEW over_materialised AS SELECT * FROM aaa_third_level WHERE n > 0;
CREATE STATISTICS orders_statistics (ndistinct, dependencies, mcv) ON status, kind FROM orders;
CREATE STATISTICS on_expressions ON (lower(status)), (amount * 2) FROM orders;
ALTER STATISTICS orders_statistics SET STATISTICS 500;
