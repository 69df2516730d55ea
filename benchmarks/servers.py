"""What both procedures run against: a PostgreSQL with the sample data and an S3 server, in one folder."""

from __future__ import annotations

import os
import secrets
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg import sql

from backstop.model.access import AccessRole
from backstop.model.access_policy import Place
from embedded.configuration import BUCKET, REGION, create_keys, write_connections
from embedded.databases import grant_backup_role, prepare_protected
from embedded.files import write_private
from embedded.home import Home
from embedded.postgres import EmbeddedPostgres, pip_postgres_bin
from embedded.roles import USERS, client_of, connection_of, grant_roles
from embedded.sample import load, loaded
from embedded.seaweedfs import EmbeddedSeaweedFS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CHECKOUT = Path(__file__).resolve().parent.parent
# As the plain procedure's own document recommends; both sides profit.
_SETTINGS = {
    "maintenance_work_mem": "1GB",
    "max_wal_size": "4GB",
    "checkpoint_completion_target": "0.9",
    "max_connections": "100",
}


@dataclass(frozen=True)
class Servers:
    """Both servers, running, and how to talk to them."""

    home: Home
    postgres: EmbeddedPostgres
    s3: EmbeddedSeaweedFS

    @property
    def pids(self) -> Mapping[str, int]:
        pids = {"postgres": self.postgres.pid, "s3": self.s3.pid}
        return {name: pid for name, pid in pids.items() if pid is not None}

    @property
    def size_bytes(self) -> int:
        with self.postgres.connect() as session:
            row: Any = session.execute("SELECT pg_database_size('calibrify')").fetchone()
            return int(row[0])

    def plain_environment(self) -> dict[str, str]:
        """For the plain procedure, which runs as a superuser."""
        return {
            "PATH": f"{self.postgres.bin_dir}:{os.environ['PATH']}",
            "LANG": "C.UTF-8",
            "PGHOST": self.postgres.host,
            "PGPORT": str(self.postgres.port),
            "PGUSER": "postgres",
            "PGDATABASE": "calibrify",
            "PGPASSFILE": str(self.home.root / "pgpass"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.home.root / "aws"),
            "AWS_ENDPOINT_URL": self.s3.endpoint_url,
            "AWS_DEFAULT_REGION": REGION,
        }

    def backstop_environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(CHECKOUT / "plugins"),
            "BACKSTOP_TARGETS": str(self.home.targets),
            "BACKSTOP_CREDENTIALS": str(self.home.connections),
            "BACKSTOP_PG_BIN": str(self.postgres.bin_dir),
        }

    def settle(self) -> None:
        """Nothing left over from the step before: restored copies dropped, dirty pages written."""
        with self.postgres.connect() as session:
            names = session.execute(
                "SELECT datname FROM pg_database WHERE datname ~ '^calibrify_(restored|reference|plain)'"
            ).fetchall()
            for (name,) in names:
                session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
            session.execute("CHECKPOINT")
        os.sync()


@contextmanager
def running_servers(directory: Path, *, scale: float, isolation: str) -> Iterator[Servers]:
    """Start both, load the sample unless it is there, configure Backstop; stop both in the end."""
    home = Home(directory.absolute())
    home.prepare()
    bin_dir = Path(os.environ.get("BACKSTOP_PG_BIN") or pip_postgres_bin())
    postgres = EmbeddedPostgres(home.protected, bin_dir=bin_dir, settings=_SETTINGS, die_with_parent=True)
    s3 = EmbeddedSeaweedFS(home.seaweedfs, buckets=[BUCKET], users=USERS, die_with_parent=True)
    with postgres, s3:
        prepare_protected(postgres)
        if loaded(postgres.connection()) is None:
            print(f"loading the sample data at scale {scale:g} ...", file=sys.stderr)
            load(postgres.connection(), scale=scale)
        servers = Servers(home, postgres, s3)
        _configure(servers, isolation=isolation)
        yield servers


def _configure(servers: Servers, *, isolation: str) -> None:
    import yaml

    home, postgres, s3 = servers.home, servers.postgres, servers.s3
    create_keys(home)
    grant_backup_role(postgres)
    write_connections(
        home.connections,
        s3=s3,
        databases={
            role: postgres.connection("calibrify", role) for role in ("calibrify_backup", "calibrify_restore")
        },
    )
    write_private(home.root / "pgpass", f"*:*:*:postgres:{postgres.password('postgres')}\n")
    write_private(
        home.root / "aws",
        f"[default]\naws_access_key_id={s3.access_key}\naws_secret_access_key={s3.secret_key}\n",
    )
    # New for each set of rounds: what earlier ones stored is left alone.
    prefix = f"backstop-{secrets.token_hex(4)}"
    grant_roles(client_of(s3), Place(BUCKET, prefix))
    document = {
        "version": 1,
        "keys": {
            "calibrify": {
                "storage": "local",
                "path": str(home.keyring),
                "signing": str(home.signing),
                "escrow": {"waived": "a benchmark"},
            }
        },
        "repositories": {
            "local": {"type": "posix", "path": str(home.repository)},
            "s3": {
                "type": "s3",
                "bucket": BUCKET,
                "prefix": prefix,
                "connections": {role.value: connection_of(role) for role in AccessRole},
                "endpoint_url": s3.endpoint_url,
                "region": REGION,
            },
        },
        "targets": {
            "calibrify": {
                "description": "benchmark",
                "owner": "benchmark",
                "keys": "calibrify",
                "database": {
                    "conn_id": "calibrify_backup",
                    "restore_conn_id": "calibrify_restore",
                    "dbname": "calibrify",
                    "jobs": 2,
                    "fingerprint": "full",
                    "repositories": ["local", "s3"],
                    "verify": {"isolation": isolation},
                },
            }
        },
    }
    write_private(home.targets, yaml.safe_dump(document, sort_keys=False))
