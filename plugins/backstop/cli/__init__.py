"""The command line: works with Airflow stopped and the inventory gone. Importing it loads nothing heavy."""
