"""What Airflow calls when something needs a person."""
