"""What physical backups are compared on: one PostgreSQL, one S3 server behind TLS, keys; in one folder.

pgBackRest speaks to S3 through TLS alone, so everybody does here: same server, same port.
"""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedded.configuration import BUCKET, REGION, create_keys
from embedded.databases import prepare_protected
from embedded.files import write_private
from embedded.home import Home
from embedded.postgres import EmbeddedPostgres, pip_postgres_bin
from embedded.sample import load, loaded
from embedded.seaweedfs import EmbeddedSeaweedFS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DATABASE = "calibrify"
_SYSTEM_POSTGRES = Path("/usr/lib/postgresql/15/bin")
_SETTINGS = {
    "max_wal_size": "8GB",
    "wal_level": "replica",
    # For pgBackRest and barman-cloud; what it does is set in each step (see `archive`).
    "archive_mode": "on",
    "max_replication_slots": "40",
    # Nothing of its own to do in the middle of a step.
    "autovacuum": "off",
    # All rounds ship the same segments.
    "wal_keep_size": "16GB",
    "maintenance_work_mem": "256MB",
}


@dataclass(frozen=True)
class PhysicalServers:
    """Both servers, running, and how to talk to them."""

    home: Home
    postgres: EmbeddedPostgres
    s3: EmbeddedSeaweedFS
    certificate: Path

    @property
    def pids(self) -> Mapping[str, int]:
        pids = {"postgres": self.postgres.pid, "s3": self.s3.pid}
        return {name: pid for name, pid in pids.items() if pid is not None}

    @property
    def sockets(self) -> Path:
        return _sockets(self.home)

    @property
    def endpoint_url(self) -> str:
        return f"https://127.0.0.1:{self.s3.https_port}"

    @property
    def major(self) -> int:
        return int((self.postgres.data / "PG_VERSION").read_text())

    def ask(self, statement: str, dbname: str = "postgres") -> Any:
        """The first value of the answer's first row; None when there is no answer."""
        with self.postgres.connect(dbname) as session:
            cursor = session.execute(statement)  # type: ignore[arg-type] # our own words
            row = cursor.fetchone() if cursor.description else None
            return row[0] if row else None

    def archive(self, command: str) -> None:
        """What the server's archiver runs from now on."""
        self.ask(f"ALTER SYSTEM SET archive_command = '{command}'")
        self.ask("SELECT pg_reload_conf()")

    def settle(self) -> None:
        """Nothing left over from the step before: dirty pages are written."""
        self.ask("CHECKPOINT")
        os.sync()

    def stored_bytes(self, prefix: str) -> int:
        """Of all objects below it."""
        client = self.client()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return sum(entry["Size"] for page in pages for entry in page.get("Contents", ()))

    def client(self) -> Any:
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.s3.endpoint_url,
            region_name=REGION,
            aws_access_key_id=self.s3.access_key,
            aws_secret_access_key=self.s3.secret_key,
        )

    def environment(self) -> dict[str, str]:
        """For every tool; secrets are in files."""
        return {
            "PATH": f"{self.postgres.bin_dir}:{os.environ['PATH']}",
            "LANG": "C.UTF-8",
            "PGPASSFILE": str(self.home.root / "pgpass"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.home.root / "aws"),
            "AWS_CA_BUNDLE": str(self.certificate),
            "AWS_DEFAULT_REGION": REGION,
        }


@contextmanager
def physical_servers(directory: Path, *, scale: float) -> Iterator[PhysicalServers]:
    """Start both, load the sample unless it is there; stop both in the end."""
    home = Home(directory.absolute())
    home.prepare()
    home.root.chmod(0o711)
    create_keys(home)
    certificate, key = _certificate(home.root)
    _sockets(home).mkdir(exist_ok=True)
    _sockets(home).chmod(0o777)
    bin_dir = _bin_dir()
    settings = {**_SETTINGS, "unix_socket_directories": str(_sockets(home))}
    if "pginstall18" in str(bin_dir):
        settings["summarize_wal"] = "on"
    postgres = EmbeddedPostgres(home.protected, bin_dir=bin_dir, settings=settings, die_with_parent=True)
    s3 = EmbeddedSeaweedFS(
        home.seaweedfs, buckets=[BUCKET], die_with_parent=True, certificate=(certificate, key)
    )
    with postgres, s3:
        servers = PhysicalServers(home, postgres, s3, certificate)
        servers.archive("/bin/true")
        prepare_protected(postgres)
        if loaded(postgres.connection()) is None:
            load(postgres.connection(), scale=scale)
            servers.ask("VACUUM FREEZE", DATABASE)
        write_private(home.root / "pgpass", f"*:*:*:postgres:{postgres.password('postgres')}\n")
        write_private(
            home.root / "aws",
            f"[default]\naws_access_key_id={s3.access_key}\naws_secret_access_key={s3.secret_key}\n",
        )
        _tell_ours(servers)
        yield servers


def _tell_ours(servers: PhysicalServers) -> None:
    """For :mod:`benchmarks.physical_step`."""
    home = servers.home
    told = {
        "port": servers.postgres.port,
        "password": servers.postgres.password("postgres"),
        "access": servers.s3.access_key,
        "secret": servers.s3.secret_key,
        "endpoint": servers.endpoint_url,
        "certificate": str(servers.certificate),
        "bucket": BUCKET,
        "keyring": str(home.keyring),
        "signing": str(home.signing),
        "spool": str(home.root / "spool"),
        "bin_dir": str(servers.postgres.bin_dir),
        "data": str(servers.postgres.data),
    }
    write_private(home.root / "step.json", json.dumps(told))


def _sockets(home: Home) -> Path:
    return home.root / "sockets"


def _bin_dir() -> Path:
    """The distribution's own by default: pgBackRest reads only the versions that it knows."""
    if named := os.environ.get("BACKSTOP_PG_BIN"):
        return Path(named)
    return _SYSTEM_POSTGRES if (_SYSTEM_POSTGRES / "postgres").exists() else pip_postgres_bin()


def _certificate(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "s3.pem", folder / "s3.key"
    if not certificate.exists():
        # The address as a name too: pgBackRest compares nothing else.
        names = "subjectAltName=IP:127.0.0.1,DNS:127.0.0.1"
        kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]
        told = ["-subj", "/CN=127.0.0.1", "-addext", names, "-keyout", str(key), "-out", str(certificate)]
        subprocess.run(["/usr/bin/openssl", "req", *kind, *told], check=True, capture_output=True)
    return certificate, key
