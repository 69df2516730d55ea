"""Make what docker-compose.yaml reads: secrets/ and .env. Any Python 3 will do; it replaces nothing.

Where backups go to an S3 of your own, name it in the environment of that one run: BACKSTOP_S3_BUCKET,
BACKSTOP_S3_REGION, BACKSTOP_S3_ENDPOINT (only for an S3 that is not AWS's), AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY. Without them SeaweedFS is started beside the rest.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
from pathlib import Path
from urllib.parse import quote

CHECKOUT = Path(__file__).resolve().parent.parent.parent
HERE = CHECKOUT / "secrets"
ENV = CHECKOUT / ".env"
TARGETS = CHECKOUT / "include" / "compose" / "targets.yaml"
#: PostgreSQL refuses root: then everything runs as this user, which need not exist.
UID = os.getuid() or 50000
#: Who comes to a bucket (docs/access.md): each has a connection of its own, s3_<role>.
ROLES = ("writer", "sync", "restorer", "verifier", "expirer", "healer", "auditor", "preparer")
PASSWORDS = (
    "protected_superuser", "metadata", "calibrify_app", "calibrify_backup", "calibrify_restore",
    "calibrify_replication", "backstop_inventory", "redis", "user_admin", "user_approver", "user_viewer",
)  # fmt: skip


def put(name: str, text: str) -> str:
    """Write a file of mode 0600, of the user that the services run as, unless it exists; its content."""
    path = HERE / name
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        own(path)
    return path.read_text()


def own(path: Path) -> None:
    """Give it to the user that the services run as; only root has to, and only root can."""
    if os.getuid() == 0:
        os.chown(path, UID, -1)


def main() -> None:
    """Everything below ``secrets/``, which only its owner can enter, and the settings in ``.env``."""
    bucket = os.environ.get("BACKSTOP_S3_BUCKET", "")
    for folder in (HERE, HERE / "keys"):
        folder.mkdir(mode=0o700, exist_ok=True)
        own(folder)
    password = {name: put(name, secrets.token_urlsafe(24)) for name in PASSWORDS}
    put("fernet_key", base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
    put("api_secret_key", secrets.token_urlsafe(32))
    put("jwt_secret", secrets.token_urlsafe(64))
    put("metrics_token", secrets.token_urlsafe(32) + "\n")
    # PostgreSQL's programs ask what their user is called; the images cannot know yours.
    put("passwd", f"root:x:0:0:root:/root:/bin/sh\nbackstop:x:{UID}:0:Backstop:/tmp:/bin/sh\n")
    put("sql_alchemy_conn", f"postgresql+psycopg2://airflow:{password['metadata']}@metadata:5432/airflow")
    put("broker_url", f"redis://:{quote(password['redis'], safe='')}@redis:6379/0")
    put("result_backend", f"redis://:{quote(password['redis'], safe='')}@redis:6379/1")
    # What is queued and what has ended survives a restart of Redis.
    put(
        "redis.conf",
        f"requirepass {password['redis']}\ndir /data\nappendonly yes\nmaxmemory-policy noeviction\n",
    )
    put("protected_dsn", f"postgresql://postgres:{password['protected_superuser']}@protected:5432/postgres\n")
    connections = {
        role: _postgres("protected", role, "calibrify", password)
        for role in ("calibrify_backup", "calibrify_restore", "calibrify_replication")
    }
    connections["backstop_inventory"] = _postgres(
        "metadata", "backstop_inventory", "backstop_inventory", password
    )
    # Of your own S3, one for all, until you put each role's there (include/aws).
    connections |= {f"s3_{role}": one for role, one in (_own_s3() if bucket else _seaweedfs()).items()}
    # Each service gets what it asks for: workers everything, pages the inventory, the receiver its way to S3.
    put("connections.json", json.dumps(connections, indent=1))
    put("connections_pages.json", _some(connections, "backstop_inventory"))
    put("connections_wal.json", _some(connections, "calibrify_replication", "s3_writer"))
    if bucket:
        put("targets.yaml", _with_bucket(TARGETS.read_text(), bucket))
    _put_env(own_s3=bool(bucket))
    print(f"{HERE} and {ENV} are complete; start with: docker compose up --build --wait")


def _own_s3() -> dict[str, dict[str, object]]:
    extra = {"region_name": os.environ.get("BACKSTOP_S3_REGION", "us-east-1")}
    if endpoint := os.environ.get("BACKSTOP_S3_ENDPOINT"):
        extra["endpoint_url"] = endpoint
    try:
        login, password = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
    except KeyError as error:
        sys.exit(f"BACKSTOP_S3_BUCKET is set, but {error.args[0]} is not\n  next: set it for this one run")
    return {
        role: {"conn_type": "aws", "login": login, "password": password, "extra": extra} for role in ROLES
    }


def _seaweedfs() -> dict[str, dict[str, object]]:
    """A user a role; what each may do, the policy says that grant_roles.py sets as `backstop`."""
    everything = ["Admin", "Read", "Write", "List", "Tagging"]
    actions: dict[str, list[str]] = {"backstop": everything, **{role: [] for role in ROLES}}
    made = [
        {
            "name": name,
            "credentials": [
                {
                    "accessKey": f"BACKSTOP{secrets.token_hex(6).upper()}",
                    "secretKey": secrets.token_urlsafe(30),
                }
            ],
            "actions": allowed,
        }
        for name, allowed in actions.items()
    ]
    written = json.loads(put("s3_identities", json.dumps({"identities": made})))["identities"]
    keys = {one["name"]: one["credentials"][0] for one in written}
    return {
        role: {
            "conn_type": "aws",
            "login": keys[role]["accessKey"],
            "password": keys[role]["secretKey"],
            "extra": {"region_name": "us-east-1", "endpoint_url": "http://seaweedfs:8333"},
        }
        for role in ROLES
    }


def _postgres(host: str, role: str, dbname: str, password: dict[str, str]) -> dict[str, object]:
    """A PostgreSQL connection in the form of Airflow's LocalFilesystemBackend."""
    return {
        "conn_type": "postgres",
        "host": host,
        "port": 5432,
        "login": role,
        "password": password[role],
        "schema": dbname,
    }


def _some(connections: dict[str, dict[str, object]], *names: str) -> str:
    return json.dumps({name: connections[name] for name in names}, indent=1)


def _with_bucket(targets: str, bucket: str) -> str:
    """The targets with another bucket; line by line, because YAML is not in Python's library."""
    region, endpoint = os.environ.get("BACKSTOP_S3_REGION"), os.environ.get("BACKSTOP_S3_ENDPOINT")
    instead = {
        "bucket": bucket,
        "region": region or "us-east-1",
        "endpoint_url": endpoint,
    }
    lines = []
    for line in targets.splitlines():
        key = line.strip().partition(":")[0]
        if key not in instead:
            lines.append(line)
        elif instead[key]:
            lines.append(f"{line[: line.index(key)]}{key}: {json.dumps(instead[key])}")
    return "\n".join(lines) + "\n"


def _put_env(*, own_s3: bool) -> None:
    if ENV.exists():
        return
    files = ["docker-compose.yaml", *(["include/compose/own-s3.yaml"] if own_s3 else [])]
    ENV.write_text(
        "# Read by docker compose; docs/compose.md says what else can be set here. No secret belongs here.\n"
        f"BACKSTOP_UID={UID}\n"
        "# With :include/compose/local-executor.yaml at the end: LocalExecutor, and no Redis, no workers.\n"
        f"COMPOSE_FILE={':'.join(files)}\n"
        + ("BACKSTOP_TARGETS_FILE=./secrets/targets.yaml\n" if own_s3 else "")
    )


if __name__ == "__main__":
    os.umask(0o077)
    main()
