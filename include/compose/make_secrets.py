"""Make what docker-compose.yaml mounts as secrets. Run it once, with any Python 3; it replaces nothing."""

from __future__ import annotations

import base64
import json
import os
import secrets
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent.parent / "secrets"


def put(path: Path, text: str, mode: int) -> str:
    """Write the file unless it exists; its content."""
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
            file.write(text)
    return path.read_text()


def main() -> None:
    """Everything below ``secrets/``, which only its owner can enter."""
    os.umask(0)
    HERE.mkdir(mode=0o700, exist_ok=True)
    airflow = HERE / "airflow"
    airflow.mkdir(mode=0o700, exist_ok=True)
    # Other services run under accounts of their own: these files are open, in a folder that is not.
    password = {
        name: put(HERE / name, secrets.token_urlsafe(24), 0o644)
        for name in (
            "protected_superuser",
            "metadata",
            "calibrify_backup",
            "calibrify_restore",
            "backstop_inventory",
        )
    }
    credential = {
        "accessKey": f"BACKSTOP{secrets.token_hex(6).upper()}",
        "secretKey": secrets.token_urlsafe(30),
    }
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    identity = {"name": "backstop", "credentials": [credential], "actions": actions}
    written = put(HERE / "s3_identities", json.dumps({"identities": [identity]}), 0o644)
    credential = json.loads(written)["identities"][0]["credentials"][0]
    put(airflow / "fernet_key", base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(), 0o600)
    put(airflow / "api_secret_key", secrets.token_urlsafe(32), 0o600)
    put(airflow / "jwt_secret", secrets.token_urlsafe(64), 0o600)
    users = {user: secrets.token_urlsafe(12) for user in ("admin", "approver")}
    put(airflow / "airflow_passwords.json", json.dumps(users), 0o600)
    address = f"postgresql+psycopg2://airflow:{password['metadata']}@metadata:5432/airflow"
    put(airflow / "sql_alchemy_conn", address, 0o600)
    connections = {
        "calibrify_backup": postgres("protected", "calibrify_backup", "calibrify", password),
        "calibrify_restore": postgres("protected", "calibrify_restore", "calibrify", password),
        "backstop_inventory": postgres("metadata", "backstop_inventory", "backstop_inventory", password),
        "backstop_s3": {
            "conn_type": "aws",
            "login": credential["accessKey"],
            "password": credential["secretKey"],
            "extra": {"region_name": "us-east-1", "endpoint_url": "http://seaweedfs:8333"},
        },
    }
    put(airflow / "connections.json", json.dumps(connections, indent=1), 0o600)
    print(f"{HERE} is complete; start with: BACKSTOP_UID={os.getuid()} docker compose up --build --wait")


def postgres(host: str, role: str, dbname: str, password: dict[str, str]) -> dict[str, str | int]:
    """A PostgreSQL connection in the form of Airflow's LocalFilesystemBackend."""
    return {
        "conn_type": "postgres",
        "host": host,
        "port": 5432,
        "login": role,
        "password": password[role],
        "schema": dbname,
    }


if __name__ == "__main__":
    main()
