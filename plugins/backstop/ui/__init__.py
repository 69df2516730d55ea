"""The Recoverability pages and the metrics, served by Airflow's API server below ``/backstop``.

What they show comes from targets.yaml and the inventory; no repository and no protected server is asked.
"""
