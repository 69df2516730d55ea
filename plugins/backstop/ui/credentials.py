"""Airflow's connections, read in its API server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.errors import ConfigurationError
from backstop.hooks.credentials import credential_of

if TYPE_CHECKING:
    from backstop.credentials import Credential


class ServerCredentials:
    """A ``CredentialSource`` that asks what the API server itself asks: environment variables, secrets
    backends, the metadata database. The one for tasks is in ``hooks/credentials.py``.
    """

    def get(self, conn_id: str) -> Credential:
        """:raises ConfigurationError: no such connection, or its extra is not a JSON object."""
        from airflow.exceptions import AirflowNotFoundException
        from airflow.models.connection import Connection

        try:
            connection = Connection.get_connection_from_secrets(conn_id)
        except AirflowNotFoundException:
            raise ConfigurationError(
                f"Airflow's API server has no connection {conn_id!r}, which targets.yaml names",
                hint=f"create it under Admin > Connections, or set AIRFLOW_CONN_{conn_id.upper()} there",
            ) from None
        return credential_of(conn_id, connection)
