-- Does a database of 2,000 tables come back? (Every fourth is empty; each tenth refers to the one before.)
DO $$
BEGIN
    FOR n IN 1..2000 LOOP
        EXECUTE format('CREATE TABLE %I (id integer, v text)', 'table ' || n);
        IF n % 4 > 0 THEN
            EXECUTE format('INSERT INTO %I SELECT g, md5(g::text) FROM generate_series(1, %s) AS g', 'table ' || n, n % 13);
        END IF;
        IF n % 10 = 0 THEN
            EXECUTE format('ALTER TABLE %I ADD PRIMARY KEY (id)', 'table ' || n);
            EXECUTE format('COMMENT ON TABLE %I IS %L', 'table ' || n, 'number ' || n);
        END IF;
    END LOOP;
END
$$;
