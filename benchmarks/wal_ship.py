"""How many WAL segments a second reach S3 and a directory: ``python -m benchmarks.wal_ship [--segments N]``.

The server has the WAL waiting in its slot, so what is measured is receiving, compressing, encrypting and
storing it. Beside it: one process for each segment, as an archive_command that starts a program would do.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backstop.commands.wal.archive import archive_wal
from backstop.commands.wal.directory import ship_directory
from backstop.commands.wal.settings import ArchiveSettings
from backstop.credentials import Credential
from backstop.crypto.keyring import LocalKeyring
from backstop.model.lsn import Lsn
from backstop.repository.catalog import Catalog, Repository
from backstop.storage.posix import PosixStorage
from backstop.storage.s3 import S3Storage
from backstop.storage.s3_client import s3_client
from embedded.postgres import EmbeddedPostgres, pip_postgres_bin
from embedded.seaweedfs import EmbeddedSeaweedFS

if TYPE_CHECKING:
    from backstop.commands.wal.state import ArchiverState

_SEGMENT_BYTES = 16 * 1024**2
_BUCKET = "wal"
_SINGLE = 4


def repositories(told: dict[str, str], *, prefix: str) -> list[Repository]:
    key = Credential(conn_id="s3", conn_type="aws", login=told["access"], password=told["secret"])
    s3 = S3Storage(s3_client(key, endpoint_url=told["endpoint"]), bucket=_BUCKET, prefix=prefix)
    local = PosixStorage(Path(told["repository"]) / prefix)
    local.root.parent.mkdir(exist_ok=True)
    storages = {"s3": s3, "local": local}
    return [
        Repository(name, storage, Catalog(storage, "t", trust=None))  # type: ignore[arg-type]
        for name, storage in storages.items()
    ]


def cpu_seconds(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def stream(server: EmbeddedPostgres, told: dict[str, str], start: Lsn, end: Lsn) -> dict[str, Any]:
    """Receive everything there is with one archiver."""
    stop = threading.Event()

    def on_state(state: ArchiverState) -> None:
        if state.confirmed is not None and state.confirmed >= end:
            stop.set()

    targets = repositories(told, prefix="stream")
    keyring = LocalKeyring.load(Path(told["keyring"]))
    began, cpu = time.monotonic(), cpu_seconds(resource.RUSAGE_SELF)
    archive_wal(
        target="t",
        cluster=server.connection(),
        repositories=targets,
        keyring=keyring,
        settings=ArchiveSettings(spool=Path(told["spool"])),
        clock=lambda: datetime.now(timezone.utc),
        stop=stop,
        on_state=on_state,
    )
    seconds = time.monotonic() - began
    segments = (end - start) / _SEGMENT_BYTES
    stored = sum(info.size_bytes for info in targets[1].storage.list("t/data/"))
    return {
        "segments": round(segments, 1),
        "seconds": round(seconds, 2),
        "segments_per_second": round(segments / seconds, 1),
        "cpu_seconds": round(cpu_seconds(resource.RUSAGE_SELF) - cpu, 2),
        "stored_bytes_per_repository": stored,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def singly(server: EmbeddedPostgres, told: dict[str, str], names: list[str]) -> dict[str, Any]:
    """One process for each segment."""
    began, cpu = time.monotonic(), cpu_seconds(resource.RUSAGE_CHILDREN)
    for name in names:
        directory = Path(tempfile.mkdtemp(dir=told["spool_singly"]))
        shutil.copy(server.data / "pg_wal" / name, directory / name)
        subprocess.run(
            [sys.executable, "-m", "benchmarks.wal_ship", "--single", str(directory)],
            env={**os.environ, "WAL_SHIP": json.dumps(told)},
            check=True,
        )
    seconds = time.monotonic() - began
    return {
        "segments": len(names),
        "seconds": round(seconds, 2),
        "segments_per_second": round(len(names) / seconds, 2),
        "cpu_seconds": round(cpu_seconds(resource.RUSAGE_CHILDREN) - cpu, 2),
    }


def ship_single(directory: Path) -> None:
    told = json.loads(os.environ["WAL_SHIP"])
    report = ship_directory(
        target="t",
        directory=directory,
        system_id=told["system_id"],
        repositories=repositories(told, prefix="singly"),
        keyring=LocalKeyring.load(Path(told["keyring"])),
        spool=directory.parent / "sealed",
    )
    assert len(report.pruned) == 1, report


def write_wal(server: EmbeddedPostgres, segments: int) -> tuple[Lsn, Lsn]:
    """Rows like an application's: some repetition, some noise."""
    with server.connect() as session:
        session.execute("SELECT pg_create_physical_replication_slot('backstop_t', true)")
        (start,) = session.execute("SELECT restart_lsn::text FROM pg_replication_slots").fetchone()  # type: ignore[misc]
        session.execute(
            "CREATE TABLE readings (id bigint, device text, at timestamptz, value float8, note text)"
        )
        end = Lsn.parse(start)
        while end - Lsn.parse(start) < segments * _SEGMENT_BYTES:
            session.execute(
                "INSERT INTO readings SELECT g, 'device-' || g % 100, now() + g * interval '1 s', random(), "
                "md5(g::text) || ' calibrated within tolerance' FROM generate_series(1, 100000) AS g"
            )
            (at,) = session.execute("SELECT pg_current_wal_flush_lsn()::text").fetchone()  # type: ignore[misc]
            end = Lsn.parse(at)
        return Lsn.parse(start), end


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--segments", type=int, default=60)
    parser.add_argument("--single", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.single:
        ship_single(given.single)
        return
    folder = Path(tempfile.mkdtemp(prefix="wal-ship-"))
    folder.chmod(0o711)
    postgres = EmbeddedPostgres(
        folder / "postgres",
        bin_dir=pip_postgres_bin(),
        settings={"wal_keep_size": "8GB", "max_wal_size": "8GB", "synchronous_commit": "off"},
        die_with_parent=True,
    )
    s3 = EmbeddedSeaweedFS(folder / "s3", buckets=[_BUCKET], die_with_parent=True)
    try:
        with postgres, s3:
            LocalKeyring.create(folder / "keyring.json", datetime.now(timezone.utc))
            (folder / "singly").mkdir()
            start, end = write_wal(postgres, given.segments)
            with postgres.connect() as session:
                (system_id,) = session.execute("SELECT system_identifier FROM pg_control_system()").fetchone()  # type: ignore[misc]
                rows = session.execute(
                    "SELECT name FROM pg_ls_waldir() WHERE length(name) = 24 "
                    "AND name < pg_walfile_name(pg_current_wal_lsn()) ORDER BY name OFFSET 2"
                ).fetchall()
                names = [row[0] for row in rows[:_SINGLE]]
            told = {
                "access": s3.access_key,
                "secret": s3.secret_key,
                "endpoint": s3.endpoint_url,
                "repository": str(folder / "repository"),
                "keyring": str(folder / "keyring.json"),
                "spool": str(folder / "spool"),
                "spool_singly": str(folder / "singly"),
                "system_id": str(system_id),
            }
            result = {"stream": stream(postgres, told, start, end), "singly": singly(postgres, told, names)}
        print(json.dumps(result, indent=1))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
