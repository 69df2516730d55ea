#!/bin/sh
# Before Airflow starts: its schema, the keys, the inventory, roles and users. Can be repeated: it replaces nothing.
set -eu
airflow db migrate
test -e /etc/backstop/keys/keyring.json || python -m backstop init-keys --target calibrify
python -m backstop migrate-inventory
python /opt/airflow/include/compose/make_users.py
