"""Make what docker-compose.yaml reads: secrets/ and .env. Any Python from 3.9 will do; it replaces nothing.

A run that was interrupted is finished by the next. Whoever ran it first is who the services run as;
others are refused.

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
from functools import cache
from pathlib import Path
from urllib.parse import quote

CHECKOUT = Path(__file__).resolve().parent.parent.parent
HERE = CHECKOUT / "secrets"
ENV = CHECKOUT / ".env"
TARGETS = CHECKOUT / "include" / "compose" / "targets.yaml"
#: PostgreSQL refuses root: then everything runs as this user, which need not exist.
FOR_ROOT = 50000
#: Who comes to a bucket (docs/access.md): each has a connection of its own, s3_<role>.
ROLES = ("writer", "sync", "restorer", "verifier", "expirer", "healer", "auditor", "preparer")
PASSWORDS = (
    "protected_superuser", "metadata", "calibrify_app", "calibrify_backup", "calibrify_restore",
    "calibrify_replication", "backstop_inventory", "redis", "user_admin", "user_approver", "user_viewer",
)  # fmt: skip
#: What this run has made.
MADE: list[str] = []


@cache
def uid() -> int:
    """The user that the services run as: whoever has secrets/ already, else whoever asks."""
    me = os.getuid()
    if not HERE.exists():
        return me or FOR_ROOT
    owner = HERE.stat().st_uid
    if me not in (0, owner):
        sys.exit(
            f"{HERE} belongs to user {owner}, and you are {me}\n  next: run this as that user, or as root"
        )
    if owner == 0:
        sys.exit(f"{HERE} belongs to root, as whom nothing runs\n  next: chown -R {me or FOR_ROOT} {HERE}")
    told = _settings().get("BACKSTOP_UID", str(owner))
    if told != str(owner):
        sys.exit(
            f"BACKSTOP_UID is {told} in {ENV}, but {HERE} belongs to user {owner}\n"
            f"  next: as root, chown -R {told} {HERE}, or correct {ENV}"
        )
    return owner


def put(name: str, text: str) -> str:
    """Write a file of mode 0600, of the user that the services run as, unless it exists; its content."""
    path = HERE / name
    if not path.exists():
        _write(path, text)
        MADE.append(name)
    found = path.read_text()
    if not found.strip():
        # A password that is empty would be one that everybody knows.
        sys.exit(f"{path} is empty\n  next: put back what was in it; if nothing runs with it yet, remove it")
    return found


def _write(path: Path, text: str) -> None:
    """Whole or not at all: what a full disk or a power cut leaves would be taken for a secret."""
    unfinished = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    own(unfinished)
    unfinished.replace(path)


def own(path: Path) -> None:
    """Give it to the user that the services run as; only root has to, and only root can."""
    if os.getuid() == 0:
        os.chown(path, uid(), -1)


def _settings() -> dict[str, str]:
    """What .env says."""
    lines = ENV.read_text().splitlines() if ENV.exists() else []
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def main() -> None:
    """Everything below ``secrets/``, which only its owner can enter, and the settings in ``.env``."""
    bucket, complete = os.environ.get("BACKSTOP_S3_BUCKET", ""), ENV.exists()
    uid()
    own_s3 = "own-s3.yaml" in _settings().get("COMPOSE_FILE", "")
    _refuse_another_s3(bucket, complete=complete, own_s3=own_s3)
    for folder in (HERE, HERE / "keys"):
        folder.mkdir(mode=0o700, exist_ok=True)
        own(folder)
    # Without the line break of whoever wrote one by hand, as PostgreSQL's image reads it.
    password = {name: put(name, secrets.token_urlsafe(24)).strip() for name in PASSWORDS}
    put("fernet_key", base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
    put("api_secret_key", secrets.token_urlsafe(32))
    put("jwt_secret", secrets.token_urlsafe(64))
    put("metrics_token", secrets.token_urlsafe(32) + "\n")
    # PostgreSQL's programs ask what their user is called; the images cannot know yours.
    put("passwd", f"root:x:0:0:root:/root:/bin/sh\nbackstop:x:{uid()}:0:Backstop:/tmp:/bin/sh\n")
    put(
        "sql_alchemy_conn",
        f"postgresql+psycopg2://airflow:{quote(password['metadata'], safe='')}@metadata:5432/airflow",
    )
    put("broker_url", f"redis://:{quote(password['redis'], safe='')}@redis:6379/0")
    put("result_backend", f"redis://:{quote(password['redis'], safe='')}@redis:6379/1")
    # What is queued and what has ended survives a restart of Redis.
    put(
        "redis.conf",
        f"requirepass {password['redis']}\ndir /data\nappendonly yes\nmaxmemory-policy noeviction\n",
    )
    put(
        "protected_dsn",
        f"postgresql://postgres:{quote(password['protected_superuser'], safe='')}@protected:5432/postgres\n",
    )
    connections = {
        role: _postgres("protected", role, "calibrify", password)
        for role in ("calibrify_backup", "calibrify_restore", "calibrify_replication")
    }
    connections["backstop_inventory"] = _postgres(
        "metadata", "backstop_inventory", "backstop_inventory", password
    )
    # Of your own S3, one for all, until you put each role's there (include/aws).
    users = _own_s3() if bucket else {} if own_s3 else _seaweedfs()
    connections.update({f"s3_{role}": one for role, one in users.items()})
    # Each service gets what it asks for: workers everything, pages the inventory, the receiver its way to S3.
    connections = json.loads(put("connections.json", json.dumps(connections, indent=1)))
    put("connections_pages.json", _some(connections, "backstop_inventory"))
    put("connections_wal.json", _some(connections, "calibrify_replication", "s3_writer"))
    if bucket:
        put("targets.yaml", _with_bucket(TARGETS.read_text(), bucket))
    _put_env(own_s3=bool(bucket))
    if complete and MADE:
        print(
            f"made anew, since it was missing: {', '.join(MADE)}. What has the former one in a volume "
            "(PostgreSQL's roles, Airflow's users) still asks for that: docs/compose.md, *Lost secrets*",
            file=sys.stderr,
        )
    print(f"{HERE} and {ENV} are complete; start with: docker compose up --build --wait")


def _refuse_another_s3(bucket: str, *, complete: bool, own_s3: bool) -> None:
    """What was made for one S3 is kept: it would not be made for another one by asking again."""
    if complete and bucket and not own_s3:
        sys.exit(
            f"{ENV} was made with SeaweedFS, and is kept\n"
            "  next: docs/compose.md, *A real S3*, says what to change"
        )
    if own_s3 and not bucket and not (HERE / "connections.json").exists():
        sys.exit(
            f"{HERE / 'connections.json'} is missing, and your own S3 is nowhere else\n"
            "  next: put it back, or name BACKSTOP_S3_BUCKET and the rest for this one run"
        )


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
    return json.dumps({name: connections[name] for name in names if name in connections}, indent=1)


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
    # Last and whole: that it is there says that all the rest is.
    files = ["docker-compose.yaml", *(["include/compose/own-s3.yaml"] if own_s3 else [])]
    _write(
        ENV,
        "# Read by docker compose; docs/compose.md says what else can be set here. No secret belongs here.\n"
        f"BACKSTOP_UID={uid()}\n"
        "# With :include/compose/local-executor.yaml at the end: LocalExecutor, and no Redis, no workers.\n"
        f"COMPOSE_FILE={':'.join(files)}\n"
        + ("BACKSTOP_TARGETS_FILE=./secrets/targets.yaml\n" if own_s3 else ""),
    )


if __name__ == "__main__":
    os.umask(0o077)
    main()
