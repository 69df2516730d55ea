"""Airflow connections as the credentials that the engine takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.errors import ConfigurationError

if TYPE_CHECKING:
    from backstop.credentials import Credential


class AirflowCredentials:
    """A ``CredentialSource`` that reads Airflow connections, from whichever backend holds them.

    Works where Airflow lets tasks read connections: inside a running task.
    """

    def get(self, conn_id: str) -> Credential:
        """The connection's values. Airflow masks the password in every log from then on.

        :raises ConfigurationError: no such connection, or its extra is not a JSON object.
        """
        from airflow.sdk import BaseHook
        from airflow.sdk.exceptions import AirflowNotFoundException

        try:
            connection = BaseHook.get_connection(conn_id)
        except AirflowNotFoundException:
            raise ConfigurationError(
                f"Airflow has no connection {conn_id!r}, which targets.yaml names",
                hint=f"create it under Admin > Connections, or set AIRFLOW_CONN_{conn_id.upper()}",
            ) from None
        return credential_of(conn_id, connection)


def credential_of(conn_id: str, connection: Any) -> Credential:
    """The values of one of Airflow's connections, whichever of its classes that is.

    :raises ConfigurationError: its extra is not a JSON object.
    """
    from backstop.credentials import Credential

    extra = connection.extra_dejson
    if not isinstance(extra, dict):
        raise ConfigurationError(
            f"the extra of Airflow connection {conn_id!r} is not a JSON object",
            hint="correct it under Admin > Connections",
        )
    return Credential(
        conn_id=conn_id,
        conn_type=connection.conn_type or "",
        host=connection.host,
        port=connection.port,
        login=connection.login,
        password=connection.password,
        schema=connection.schema,
        extra=extra,
    )
