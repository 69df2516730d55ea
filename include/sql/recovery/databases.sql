-- Which databases can one connect to?
SELECT datname FROM pg_catalog.pg_database WHERE datallowconn ORDER BY datname
