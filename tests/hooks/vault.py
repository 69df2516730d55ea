"""A secrets backend such as people write for a store of their own."""

from __future__ import annotations

import json

from airflow.sdk import Connection
from airflow.secrets.base_secrets import BaseSecretsBackend


class Vault(BaseSecretsBackend):
    """:param held: connections by id, as Airflow passes them from ``backend_kwargs``."""

    def __init__(self, held: dict[str, dict[str, object]]) -> None:
        super().__init__()
        self.held = held

    def get_connection(self, conn_id: str, team_name: str | None = None) -> Connection | None:
        found = self.held.get(conn_id)
        return Connection.from_json(json.dumps(found), conn_id=conn_id) if found else None
