"""What targets.yaml says, as the settings that commands take. For the CLI and for Airflow alike."""
