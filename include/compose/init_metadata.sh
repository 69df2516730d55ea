#!/bin/sh
# The first start of the metadata PostgreSQL: the inventory's database and owner, beside Airflow's.
set -eu
psql -v ON_ERROR_STOP=1 --username airflow --dbname airflow <<'SQL'
\set inventory_password `cat /run/secrets/backstop_inventory`
CREATE ROLE backstop_inventory LOGIN PASSWORD :'inventory_password';
CREATE DATABASE backstop_inventory OWNER backstop_inventory;
SQL
bash /first_start.sh done
