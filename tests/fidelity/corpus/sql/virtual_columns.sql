-- Do columns that are computed on reading keep their definitions? Since PostgreSQL 18.
CREATE TABLE virtual_columns (
    net numeric, rate numeric,
    gross numeric GENERATED ALWAYS AS (net * (1 + rate)) VIRTUAL,
    rounded numeric GENERATED ALWAYS AS (round(net, 1))
);
INSERT INTO virtual_columns (net, rate) VALUES (10, 0.19), (NULL, 0.07), (0.05, 0);
