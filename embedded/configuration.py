"""The files that tie the stack together: targets.yaml, connections, keys, and the shell's environment."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from backstop.model.access import AccessRole
from embedded import roles
from embedded.files import write_private
from embedded.home import CHECKOUT
from embedded.roles import connection_of

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.postgres.connection import ClusterConnection
    from embedded.home import Home
    from embedded.seaweedfs import EmbeddedSeaweedFS

BUCKET = "calibrify-backups"
REGION = "us-east-1"
ESCROW_WAIVED = "the embedded demo keeps its keys on this machine only; never do that with data you need"


def write_targets(path: Path, home: Home, endpoint_url: str, *, server_account: str | None = None) -> None:
    """Write targets.yaml for this stack: one target, a local repository and an S3 one.

    :param server_account: the user of the protected server, where that is not ourselves.
    """
    import yaml

    document = {
        "version": 1,
        "keys": {
            "calibrify": {
                "storage": "local",
                "path": str(home.keyring),
                "signing": str(home.signing),
                "escrow": {"waived": ESCROW_WAIVED},
            }
        },
        "repositories": {
            "local": {"type": "posix", "path": str(home.repository)},
            "s3": {
                "type": "s3",
                "bucket": BUCKET,
                "prefix": "",
                "connections": {role.value: connection_of(role) for role in AccessRole},
                "endpoint_url": endpoint_url,
                "region": REGION,
            },
        },
        "inventory": {"conn_id": "backstop_inventory"},
        "targets": {"calibrify": _target(home, server_account)},
    }
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
    header = (
        "# Made by `make up` and made anew by the next one. To change it, copy it and name the copy with\n"
        "# BACKSTOP_TARGETS.\n"
    )
    write_private(path, header + text)


def _target(home: Home, server_account: str | None) -> dict[str, Any]:
    return {
        "description": "Lab calibration app (sample data)",
        "owner": "lab-platform",
        "keys": "calibrify",
        "tags": ["lab", "demo"],
        "database": {
            "conn_id": "calibrify_backup",
            "restore_conn_id": "calibrify_restore",
            "dbname": "calibrify",
            "schedule": "0 1 * * *",
            "jobs": 2,
            "fingerprint": "full",
            "snapshot_max": "4h",
            "repositories": ["local", "s3"],
            "retention": {"local": "30d", "s3": "90d"},
            "objectives": {"rto": "1h", "rpo": "5m"},
            "verify": {
                "policy": "each",
                "isolation": "required",
                "queries": [
                    {"sql": "SELECT count(*) > 0 FROM equipment", "expect": True},
                    {"sql": "SELECT count(*) > 0 FROM calibrations", "expect": True},
                    {"sql": "SELECT count(*) > 0 FROM users", "expect": True},
                ],
            },
            "restore": {"approval": True, "four_eyes": True, "approval_timeout": "1h"},
        },
        "cluster": {
            "conn_id": "calibrify_replication",
            "full": "0 3 * * 0",
            "incremental": "0 3 * * 1-6",
            "spool": str(home.spool),
            "wal": {"runner": "service"},
            "verify": "each",
            "recovery": {
                "directory": str(home.recovered),
                # PostgreSQL refuses root; the cluster's own account is what its data belongs to.
                **({"run_as": server_account} if server_account else {}),
                "queries": [{"sql": "SELECT count(*) > 0 FROM equipment", "expect": True}],
                "cutover": {
                    "data_directory": str(home.protected / "data"),
                    "stop": [_protected(home, "stop")],
                    "start": [_protected(home, "start")],
                    "timeout": "2m",
                },
            },
        },
        "trees": _trees(home),
        "drill": _drill(home),
        "disaster": _disaster(home),
    }


def _drill(home: Home) -> dict[str, Any]:
    """Checks that need neither root nor nginx; on demand, because the demo has no month."""
    return {
        "scenario": "rotate",
        "probes": [
            {"name": "Calibrify answers", "command": _sample("health.py", str(home.media))},
            {"name": "somebody can sign in", "sql": "SELECT count(*) > 0 FROM users", "expect": True},
            {
                "name": "every calibration is of known equipment",
                "sql": "SELECT count(*) FROM calibrations AS c "
                "WHERE NOT EXISTS (SELECT FROM equipment AS e WHERE e.id = c.equipment_id)",
                "expect": 0,
            },
        ],
        "validators": {
            "config": [_sample("check_config.py", f"{{root}}{home.host / 'opt/calibrify/config'}")]
        },
        "sign_off": {"required": True, "within": "7d"},
    }


def _disaster(home: Home) -> dict[str, Any]:
    """What services read first, then the database, then what it shows; all of it asked as it is live."""
    return {
        "order": ["tree:config", "database", "tree:media"],
        "infrastructure": {
            "check": [["test", "-d", str(home.recovered)]],
            "prepare": [["mkdir", "-p", str(home.recovered)]],
        },
        "validation": {
            "functionality": [
                {"name": "Calibrify answers", "command": _sample("health.py", str(home.media))}
            ],
            "consistency": [
                {
                    "name": "every calibration is of known equipment",
                    "sql": "SELECT count(*) FROM calibrations AS c "
                    "WHERE NOT EXISTS (SELECT FROM equipment AS e WHERE e.id = c.equipment_id)",
                    "expect": 0,
                },
            ],
            "integrations": [
                {
                    "name": "services find their configuration",
                    "command": _sample("check_config.py", str(home.host / "opt/calibrify/config")),
                },
            ],
        },
    }


def _sample(script: str, *arguments: str) -> list[str]:
    return [sys.executable, str(CHECKOUT / "embedded" / "sample" / script), *arguments]


def _trees(home: Home) -> dict[str, Any]:
    """What the sample's host has besides its database. Restored files belong to whoever runs the stack."""
    config = [
        "opt/calibrify/config",
        "etc/nginx/sites-available/calibrify.conf",
        "etc/systemd/system/calibrify*.service",
    ]
    consent = {"approval": True, "four_eyes": True, "approval_timeout": "1h"}
    return {
        "media": {
            "paths": [str(home.media)],
            "schedule": "0 2 * * *",
            "retention": {"local": "7d", "s3": "30d"},
            "objectives": {"rto": "4h", "rpo": "24h"},
            "spool": str(home.spool),
            "restore": consent,
            "expected": {
                "sql": "SELECT photo_path FROM equipment WHERE photo_path IS NOT NULL",
                "below": str(home.media),
            },
        },
        "config": {
            "paths": [str(home.host / path) for path in config],
            "on_change": {"settle": "5s", "at_most": "30s"},
            "retention": {"local": "7d", "s3": "30d"},
            "objectives": {"rto": "1h"},
            "spool": str(home.spool),
            "restore": consent,
        },
    }


def _protected(home: Home, verb: str) -> list[str]:
    """The command that stops or starts the protected server of this stack."""
    script = (
        "import sys; sys.path[:0] = sys.argv[1:3]; from embedded.protected import main; main(sys.argv[3:])"
    )
    return [sys.executable, "-c", script, str(CHECKOUT), str(CHECKOUT / "plugins"), verb, str(home.root)]


def write_connections(
    path: Path,
    *,
    databases: dict[str, ClusterConnection],
    s3: EmbeddedSeaweedFS | None = None,
) -> None:
    """Write the connections by id, in the form that Airflow's file backend and our CLI both read."""
    document: dict[str, Any] = {
        conn_id: {
            "conn_type": "postgres",
            "host": connection.host,
            "port": connection.port,
            "login": connection.user,
            "password": connection.password,
            "schema": connection.dbname,
        }
        for conn_id, connection in databases.items()
    }
    if s3 is not None:
        document |= roles.connections(s3, region_name=REGION, endpoint_url=s3.endpoint_url)
    write_private(path, json.dumps(document, indent=1))


def create_keys(home: Home) -> bool:
    """Create the local key ring and the signing keys unless they exist; whether any was created."""
    from backstop.crypto.keyring import LocalKeyring
    from backstop.crypto.signing import create_signing_keys

    created = False
    if not home.keyring.exists():
        LocalKeyring.create(home.keyring, datetime.now(timezone.utc))
        created = True
    if not (home.signing / "trusted.json").exists():
        create_signing_keys(home.signing)
        created = True
    return created


def create_metrics_token(home: Home) -> None:
    """Create what a Prometheus has to show, unless it exists: a scraper keeps its copy."""
    if not home.metrics_token.exists():
        write_private(home.metrics_token, secrets.token_urlsafe(32) + "\n")


def variables(home: Home) -> dict[str, str]:
    """What the engine must be told: in Airflow, and in a shell that uses the command line."""
    told = {
        "BACKSTOP_TARGETS": os.environ.get("BACKSTOP_TARGETS") or str(home.targets),
        "BACKSTOP_CREDENTIALS": str(home.connections),
        "BACKSTOP_METRICS_TOKEN_FILE": str(home.metrics_token),
    }
    if bin_dir := os.environ.get("BACKSTOP_PG_BIN"):
        told["BACKSTOP_PG_BIN"] = bin_dir
    return told


def write_environment(home: Home) -> None:
    """Write the lines a shell sources before ``python -m backstop``. No secret is among them."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables(home).items()]
    write_private(home.environment, "\n".join(lines) + "\n")
