"""Backstop: backup and disaster recovery for PostgreSQL and file trees, proven by restore.

The engine (everything below ``hooks``) imports no Airflow: in a disaster, Airflow may be what died.
"""

__version__ = "0.1.0"
