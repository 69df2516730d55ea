# Airflow with Backstop's dependencies and PostgreSQL 17's own programs, for docker-compose.yaml. The base has
# Debian's PostgreSQL 17; another major version of the protected server needs another base or PGDG's packages.
FROM python:3.12-slim-trixie

RUN apt-get update \
    && apt-get install -y --no-install-recommends postgresql-17 util-linux tini \
    && rm -rf /var/lib/apt/lists/* /var/lib/postgresql/17

COPY requirements-compose.txt /tmp/requirements.txt
RUN pip install --no-cache-dir --require-hashes --no-deps -r /tmp/requirements.txt && rm /tmp/requirements.txt

# What PostgreSQL's own images sort by, unless told otherwise: scratch servers need the locale of what they restore.
RUN apt-get update && apt-get install -y --no-install-recommends locales && rm -rf /var/lib/apt/lists/* \
    && localedef --inputfile en_US --charmap UTF-8 --alias-file /usr/share/locale/locale.alias en_US.UTF-8

# PostgreSQL refuses to run as root, and scratch servers run as whoever runs the task.
RUN useradd --create-home --uid 50000 airflow \
    && mkdir -p /opt/airflow/logs /var/backups/backstop /var/lib/backstop/spool /var/www/calibrify \
    && chown -R airflow:0 /opt/airflow /var/backups/backstop /var/lib/backstop /var/www/calibrify \
    && chmod -R g=u /opt/airflow /var/backups/backstop /var/lib/backstop /var/www/calibrify
# The root file system is read-only there, and Airflow would write a configuration where it finds none.
RUN echo "# Settings are in the environment; see docker-compose.yaml." > /opt/airflow/airflow.cfg
ENV AIRFLOW_HOME=/opt/airflow \
    PYTHONPATH=/opt/airflow/plugins \
    PYTHONDONTWRITEBYTECODE=1
COPY --chown=airflow dags /opt/airflow/dags
COPY --chown=airflow plugins /opt/airflow/plugins
COPY --chown=airflow include /opt/airflow/include
USER airflow
WORKDIR /opt/airflow
ENTRYPOINT ["tini", "--"]
