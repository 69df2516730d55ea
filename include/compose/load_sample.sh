#!/bin/sh
# Load the sample into the protected database, once: load_sample.sh SCALE (1 is about 100 MB).
set -eu
export PGHOST=protected PGUSER=postgres PGDATABASE=calibrify
passfile=$(mktemp)
printf '*:*:*:*:%s\n' "$(cat /run/secrets/protected_superuser)" > "$passfile"
export PGPASSFILE=$passfile

there=$(psql --no-psqlrc -At -c "SELECT to_regclass('public.equipment') IS NOT NULL")
if [ "$there" = t ]; then
    echo "the sample is there already"
else
    python -m embedded.sample --dsn-from /run/secrets/protected_dsn --scale "$1" \
        --app-password-from /run/secrets/calibrify_app --media /var/www/calibrify/media
fi
# Before PostgreSQL 18 large objects that were created since are not covered.
psql --no-psqlrc --quiet --single-transaction --set=role=calibrify_backup \
    --file=/opt/airflow/include/sql/roles/backup_role.sql
