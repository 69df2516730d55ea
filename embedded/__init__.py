"""The embedded stack: PostgreSQL, SeaweedFS and Airflow on loopback, for the demo and for tests.

Everything lives under one ignored folder of the checkout (``.backstop``, or ``BACKSTOP_HOME``). Nothing here
is imported by the engine.
"""
