"""What Airflow tells Backstop, in its own processes."""
