#!/bin/sh
# Before Airflow starts: its schema, keys, inventory, pools, roles and users. Can be repeated: it replaces nothing.
set -eu
airflow db migrate
python /opt/airflow/include/compose/make_keys.py
python -m backstop migrate-inventory
# Airflow starts nothing in a pool that it has not.
python -m backstop pools > /tmp/pools.json
test "$(cat /tmp/pools.json)" = "{}" || airflow pools import /tmp/pools.json
python /opt/airflow/include/compose/make_users.py
