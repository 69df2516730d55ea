"""One step of Backstop in a process of its own, for the physical benchmarks to measure.

    python -m benchmarks.physical_step STEP.json backup --target t1 --kind full

Base backups are taken without waiting for the WAL archive: what WAL costs is measured apart, for every tool.
"""

from __future__ import annotations

import argparse
import fcntl
import gc
import json
import os
import subprocess
import sys
import threading
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "plugins"))

from backstop.commands.progress import Silent
from backstop.credentials import Credential
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, TrustedSigners
from backstop.model.backup import BackupKind, BackupLabel
from backstop.model.lsn import Lsn, WalSegment
from backstop.postgres.connection import ClusterConnection
from backstop.repository.catalog import Catalog, Repository
from backstop.storage.s3 import S3Storage
from backstop.storage.s3_client import s3_client

if TYPE_CHECKING:
    from collections.abc import Callable

    from backstop.commands.wal.state import ArchiverState

_RESTORE_WAL = Path(__file__).resolve().parent.parent / "plugins/backstop/postgres/restore_wal.sh"
_POLL_SECONDS = 0.1
"""Asking more often is noticeable work for the server and for the process that is measured."""
_STEPS = ("backup", "restore", "push", "get", "replay", "replay_serially", "get_one", "put_one")


class Step:
    """What all steps begin with. What they print is one JSON document."""

    def __init__(self, told: dict[str, Any], arguments: argparse.Namespace) -> None:
        self.told = told
        self.arguments = arguments
        key = Credential(
            conn_id="s3",
            conn_type="aws",
            login=told["access"],
            password=told["secret"],
            extra={"verify": told["certificate"]},
        )
        client = s3_client(key, endpoint_url=told["endpoint"])
        storage = S3Storage(client, bucket=told["bucket"], prefix="backstop")
        trust = TrustedSigners.load(Path(told["signing"]) / "trusted.json")
        self.repository = Repository("s3", storage, Catalog(storage, arguments.target, trust=trust))
        self.keyring = LocalKeyring.load(Path(told["keyring"]))
        self.cluster = ClusterConnection(
            host="127.0.0.1", port=told["port"], user="postgres", dbname="postgres", password=told["password"]
        )

    def backup(self) -> dict[str, Any]:
        from backstop.commands.base.backup import take_base_backup
        from backstop.commands.base.settings import BaseBackupSettings, FileCopySettings

        readers = int(self.arguments.readers or 0)
        files = FileCopySettings(Path(self.told["data"]), readers=readers) if readers else None
        report = take_base_backup(
            target=self.arguments.target,
            cluster=self.cluster,
            repositories=[self.repository],
            keyring=self.keyring,
            signer=Signer.load(Path(self.told["signing"]) / "manifest.pem"),
            settings=BaseBackupSettings(staging=Path(self.told["spool"]), file_copy=files),
            kind=BackupKind(self.arguments.kind),
            clock=_now,
            holder="benchmark",
            progress=Silent(),
        )
        return {"label": report.label, "copy_seconds": report.copy_seconds}

    def restore(self) -> dict[str, Any]:
        """The data directory, compared with PostgreSQL's manifest and synced, as the others' is."""
        from backstop.commands.base.fetch import fetch_base
        from backstop.postgres.tools import PostgresTools

        chain = []
        label: BackupLabel | None = BackupLabel(self.arguments.label)
        while label is not None:
            manifest = self.repository.catalog.backup(label).manifest
            chain.insert(0, manifest)
            label = manifest.parent
        began = time.monotonic()
        destination = Path(self.arguments.destination)
        fetch_base(
            self.repository,
            chain,
            keyring=self.keyring,
            tools=PostgresTools.find(chain[-1].server_version // 10000, server=True),
            destination=destination,
            tablespaces=destination.with_name(f"{destination.name}-tablespaces"),
            jobs=2,
            progress=Silent(),
        )
        fetched = time.monotonic() - began
        os.sync()
        return {"fetch_seconds": round(fetched, 2), "all": round(time.monotonic() - began, 2)}

    def push(self) -> dict[str, Any]:
        """Everything from the slot's start to ``--end``, until the server knows that it is stored."""
        from backstop.commands.wal.archive import archive_wal
        from backstop.commands.wal.settings import ArchiveSettings

        stop = threading.Event()
        began = time.monotonic()
        watcher = threading.Thread(target=self._until_confirmed, args=(stop,), daemon=True)
        watcher.start()
        archive_wal(
            target=self.arguments.target,
            cluster=self.cluster,
            repositories=[self.repository],
            keyring=self.keyring,
            settings=ArchiveSettings(spool=Path(self.told["spool"]), slot=self.arguments.slot),
            clock=_now,
            stop=stop,
            on_state=_ignore,
        )
        return {"seconds": round(time.monotonic() - began, 2)}

    def _until_confirmed(self, stop: threading.Event) -> None:
        import psycopg

        end = Lsn.parse(self.arguments.end)
        with psycopg.connect(
            host="127.0.0.1",
            port=self.told["port"],
            user="postgres",
            password=self.told["password"],
            autocommit=True,
        ) as session:
            query = "SELECT restart_lsn::text FROM pg_replication_slots WHERE slot_name = %s"
            while not stop.wait(_POLL_SECONDS):
                row = session.execute(query, [self.arguments.slot]).fetchone()
                if row and Lsn.parse(row[0]) >= end:
                    stop.set()

    def get(self) -> dict[str, Any]:
        """Every named segment, asked for one after the other by the script that a recovery runs."""
        names = Path(self.arguments.names).read_text().split()
        script = 'while read -r name; do /bin/sh "$0" "$1" "$name" "$2/current"; done <"$3"'
        given = [self.arguments.destination, self.arguments.names]
        return self._prefetching(
            names,
            lambda spool: subprocess.run(
                ["/bin/sh", "-ec", script, str(_RESTORE_WAL), str(spool), *given], check=True
            ),
        )

    def replay(self) -> dict[str, Any]:
        """A server recovers, fed by the prefetcher."""
        from benchmarks.replay import replay

        names = Path(self.arguments.names).read_text().split()
        data = Path(self.arguments.destination)
        bin_dir = Path(self.told["bin_dir"])
        return self._prefetching(
            names,
            lambda spool: replay(
                data, bin_dir=bin_dir, restore_command=f'/bin/sh {_RESTORE_WAL} {spool} "%f" "%p"'
            ),
            owner=data.stat().st_uid,
        )

    def replay_serially(self) -> dict[str, Any]:
        """The same server without a prefetcher: a process for each segment, once it is asked for."""
        from benchmarks.replay import replay

        data, spool = Path(self.arguments.destination), Path(self.told["spool"]) / f"serial-{os.getpid()}"
        owner = data.stat().st_uid
        for folder in (spool.parent, spool, ready := spool / "ready", wanted := spool / "wanted"):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o777)
        stop = threading.Event()
        with (spool / "prefetcher.lock").open("w") as lock:
            os.chown(lock.fileno(), owner, -1)
            fcntl.flock(lock, fcntl.LOCK_EX)
            thread = threading.Thread(target=self._answer, args=(wanted, ready, stop))
            thread.start()
            try:
                return replay(
                    data,
                    bin_dir=Path(self.told["bin_dir"]),
                    restore_command=f'/bin/sh {_RESTORE_WAL} {spool} "%f" "%p"',
                )
            finally:
                stop.set()
                thread.join()

    def _answer(self, wanted: Path, ready: Path, stop: threading.Event) -> None:
        before = None
        while not stop.wait(0.002):
            for request in wanted.iterdir():
                name = request.name
                request.unlink()
                if before is not None:
                    before.unlink(missing_ok=True)
                argv = [sys.executable, "-m", "benchmarks.physical_step", str(self.arguments.told), "get_one"]
                where = ["--target", self.arguments.target, "--system-id", self.arguments.system_id]
                arriving, before = ready.parent / name, ready / name
                done = subprocess.run(
                    [*argv, *where, "--names", name, "--destination", str(arriving)], check=False
                )
                if done.returncode:
                    (ready / f"{name}.absent").touch()
                else:
                    arriving.chmod(0o644)
                    arriving.replace(before)

    def _prefetching(
        self, names: list[str], read: Callable[[Path], object], *, owner: int | None = None
    ) -> dict[str, Any]:
        from backstop.commands.wal.prefetch import Prefetcher, PrefetchSettings
        from backstop.commands.wal.route import WalRoute
        from backstop.commands.wal.sources import ArchivedWal
        from backstop.repository.wal_archive import WalArchive

        archive = WalArchive(self.repository.storage, self.arguments.target, self.arguments.system_id)
        first, last = WalSegment.parse(names[0]), WalSegment.parse(names[-1])
        route = WalRoute.on_one_timeline(first.timeline, first.start, last.end)
        spool = Path(self.told["spool"]) / f"prefetch-{os.getpid()}"
        spool.parent.mkdir(exist_ok=True)
        spool.parent.chmod(0o711)
        began = time.monotonic()
        with Prefetcher(
            spool,
            sources=[ArchivedWal(archive, self.keyring)],
            route=route,
            settings=PrefetchSettings(owner=owner),
        ):
            told = read(spool)
        result: dict[str, Any] = {"seconds": round(time.monotonic() - began, 2)}
        return {**result, **told} if isinstance(told, dict) else result

    def get_one(self) -> None:
        """One segment in one process, as a restore_command that starts a program would have it."""
        from backstop.errors import ObjectMissingError
        from backstop.repository.wal_archive import WalArchive

        archive = WalArchive(self.repository.storage, self.arguments.target, self.arguments.system_id)
        try:
            segment = WalSegment.parse(self.arguments.names)
            archive.fetch_segment(segment, Path(self.arguments.destination), keyring=self.keyring)
        except (ValueError, ObjectMissingError):
            sys.exit(1)

    def put_one(self) -> None:
        """One segment in one process, as an archive_command that starts a program would have it."""
        from backstop.repository.wal_archive import WalArchive
        from backstop.repository.wal_sealing import seal_segment

        archive = WalArchive(self.repository.storage, self.arguments.target, self.arguments.system_id)
        source = Path(self.arguments.names)
        segment = WalSegment.parse(source.name)
        sealed = Path(self.told["spool"]) / f"{segment}.sealed"
        sealed.parent.mkdir(exist_ok=True)
        with source.open("rb", buffering=0) as stream:
            archive.put(seal_segment(archive.names, segment, stream, sealed, keyring=self.keyring))
        sealed.unlink()


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _ignore(state: ArchiverState) -> None:
    pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("told", type=Path)
    parser.add_argument("step", choices=_STEPS)
    parser.add_argument("--target", required=True)
    for name in ("kind", "label", "destination", "slot", "end", "names", "system-id", "readers"):
        parser.add_argument(f"--{name}")
    arguments = parser.parse_args()
    told = json.loads(arguments.told.read_text())
    os.environ["BACKSTOP_PG_BIN"] = told["bin_dir"]
    print(json.dumps(getattr(Step(told, arguments), arguments.step)()))


if __name__ == "__main__":
    # As ``python -m backstop`` has it.
    gc.set_threshold(50_000, 20, 20)
    main()
    gc.freeze()
