"""The Recoverability page and the metrics, served by Airflow's API server below ``/backstop``.

Everything shown comes from targets.yaml and the inventory; no repository and no protected server is asked.
"""
