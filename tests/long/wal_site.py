"""A server, a receiver in a process of its own, and two repositories: all that a disaster can strike."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from backstop.commands.base_backup import take_base_backup
from backstop.commands.progress import Silent
from backstop.commands.wal_holds import WalHeld
from backstop.credentials import FileCredentials
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import create_signing_keys
from backstop.model.canonical import parse_time
from backstop.settings import base_backup_settings, utc_now
from backstop.targets import load_targets
from backstop.wiring import open_keyring, open_repositories, open_signer, replication_connection
from embedded.accounts import postgres_account
from embedded.postgres import EmbeddedPostgres, pip_postgres_bin
from embedded.process import tether
from tests.faults.s3_proxy import FaultyS3Proxy, answer, stall
from tests.long.ledger import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from backstop.commands.backup_report import BaseBackupReport
    from backstop.model.backup import BackupKind
    from backstop.model.lsn import Lsn
    from backstop.repository.catalog import Repository
    from embedded.seaweedfs import EmbeddedSeaweedFS

TARGET = "calibrify"
NEAR, FAR = "near", "far"
CHECKOUT = Path(__file__).resolve().parents[2]
_EXCHANGE = 2
_SETTINGS = {
    "shared_buffers": "16MB",
    "max_connections": "40",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "checkpoint_timeout": "30s",
    # All of it stays, to judge by.
    "wal_keep_size": "8GB",
    "max_wal_size": "1GB",
    # Nothing outside the data directory is left of a server that is killed.
    "dynamic_shared_memory_type": "mmap",
}


class Templates:
    """Data directories with the ledger's empty tables, made once for each version and segment size."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def copy(self, destination: Path, *, major: int, segment_mb: int) -> EmbeddedPostgres:
        """A new server's folder; not started."""
        template = self._folder / f"template-{major}-{segment_mb}"
        if not template.exists():
            self._make(template, major, segment_mb)
        subprocess.run(["cp", "-a", template, destination], check=True)
        return self._server(destination, major)

    def _make(self, template: Path, major: int, segment_mb: int) -> None:
        fresh = template.with_name(f"{template.name}-new")
        with self._server(fresh, major) as server, server.connect() as session:
            for statement in TABLES:
                session.execute(statement)
        account = postgres_account(fresh, server.bin_dir)
        subprocess.run(
            [
                *account.prefix, server.bin_dir / "pg_resetwal", f"--wal-segsize={segment_mb}",
                "-D", server.data,
            ],
            cwd="/", user=account.uid, group=account.gid, check=True, capture_output=True,
        )  # fmt: skip
        (fresh / "port").unlink()
        fresh.rename(template)

    def _server(self, folder: Path, major: int) -> EmbeddedPostgres:
        settings = {**_SETTINGS, **({"summarize_wal": "on"} if major >= 17 else {})}
        return EmbeddedPostgres(
            folder, bin_dir=pip_postgres_bin(major), settings=settings, durable=False, die_with_parent=True
        )


@dataclass
class Site:
    """See the module.

    :param folder: short, and open to the server's user.
    """

    folder: Path
    server: EmbeddedPostgres
    s3: EmbeddedSeaweedFS
    synchronous: bool = False
    interruptible: bool = True
    """Whether the S3 repository can go away; that costs time."""
    states: list[dict[str, Any]] = field(default_factory=list)
    """What the receiver has said about itself, all of it."""

    def __post_init__(self) -> None:
        self.spool = self.folder / "spool"
        self.proxy = FaultyS3Proxy(self.s3.endpoint_url)
        if self.interruptible:
            self.proxy.__enter__()
        self._receiver: subprocess.Popen[bytes] | None = None
        self._ended = threading.Event()
        self._write_files()
        self.configuration = load_targets(self.folder / "targets.yaml")
        self.credentials = FileCredentials(self.folder / "connections.json")
        self.keyring = open_keyring(self.configuration, TARGET, self.credentials)
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def _write_files(self) -> None:
        (self.folder / "keys").mkdir(mode=0o700)
        LocalKeyring.create(self.folder / "keys" / "ring.json", utc_now())
        create_signing_keys(self.folder / "keys" / "signing")
        (self.folder / "targets.yaml").write_text(
            f"""\
version: 1
keys:
  lab:
    storage: local
    path: {self.folder}/keys/ring.json
    signing: {self.folder}/keys/signing
    escrow: {{waived: test}}
repositories:
  {NEAR}: {{type: posix, path: {self.folder}/near}}
  {FAR}:
    type: s3
    bucket: backstop-tests
    prefix: disaster-{self.folder.name}
    conn_id: s3
    endpoint_url: {(self.proxy if self.interruptible else self.s3).endpoint_url}
targets:
  {TARGET}:
    keys: lab
    database: {{conn_id: source, dbname: postgres, repositories: [{NEAR}, {FAR}]}}
    cluster:
      conn_id: source
      spool: {self.spool}
      wal: {{synchronous: {str(self.synchronous).lower()}}}
"""
        )
        source = self.server.connection()
        connections = {
            "source": {
                "conn_type": "postgres", "host": source.host, "port": source.port, "login": source.user,
                "password": source.password, "schema": source.dbname,
            },
            "s3": {"conn_type": "aws", "login": self.s3.access_key, "password": self.s3.secret_key},
        }  # fmt: skip
        path = self.folder / "connections.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(connections))
        if self.synchronous:
            # In a file of the cluster: the copy that is recovered later has it too, and must not wait.
            with (self.server.data / "postgresql.auto.conf").open("a") as conf:
                conf.write("synchronous_standby_names = 'backstop_wal'\n")

    def __enter__(self) -> Site:
        self._sampler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill_receiver()
        self.kill_server()
        self._ended.set()
        if self.interruptible:
            self.proxy.__exit__(None, None, None)

    # -- Protection ------------------------------------------------------------------------------------------

    def repository(self, name: str) -> Repository:
        return next(one for one in self.repositories if one.name == name)

    @cached_property
    def repositories(self) -> list[Repository]:
        return open_repositories(self.configuration, TARGET, self.credentials)

    def take_base_backup(self, kind: BackupKind) -> BaseBackupReport:
        repositories = self.repositories
        return take_base_backup(
            target=TARGET,
            cluster=replication_connection(self.configuration, TARGET, self.credentials),
            repositories=repositories,
            keyring=self.keyring,
            signer=open_signer(self.configuration, TARGET, "manifest"),
            settings=base_backup_settings(self.configuration, TARGET, repositories),
            kind=kind,
            clock=utc_now,
            holder="test",
            progress=Silent(),
            wal_holds=WalHeld(TARGET),
        )

    def start_receiver(self) -> None:
        """``python -m backstop archive-wal``, as a service manager would run it."""
        with (self.folder / "receiver.log").open("ab") as log:
            self._receiver = subprocess.Popen(
                [*tether("KILL"), sys.executable, "-m", "backstop", "archive-wal"],
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONPATH": str(CHECKOUT / "plugins"),
                    "BACKSTOP_TARGETS": str(self.folder / "targets.yaml"),
                    "BACKSTOP_CREDENTIALS": str(self.folder / "connections.json"),
                },
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def status_file(self) -> Path:
        return self.spool / f"archive-wal-{TARGET}.json"

    def _sample(self) -> None:
        while not self._ended.wait(0.03):
            try:
                state = json.loads(self.status_file.read_text())
            except (FileNotFoundError, NotADirectoryError):
                continue
            if not self.states or self.states[-1] != state:
                self.states.append(state)

    def wait(self, what: str, true: Callable[[], Any], *, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            died = self._receiver is not None and self._receiver.poll() is not None
            assert not died, f"the receiver ended by itself while waiting for: {what}"
            assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
            time.sleep(0.05)

    def wait_until_archived(self, name: str, position: Lsn) -> None:
        from backstop.model.lsn import Lsn

        def reached() -> bool:
            said = self.states[-1]["repositories"].get(name) if self.states else None
            return bool(said and said["position"]) and Lsn.parse(said["position"]) >= position

        self.wait(f"{name} has all up to {position}", reached)

    # -- What can happen -------------------------------------------------------------------------------------

    def kill_receiver(self) -> None:
        if self._receiver is not None:
            self._receiver.kill()
            self._receiver.wait()
            self._receiver = None

    def lose_spool(self) -> None:
        shutil.rmtree(self.spool, ignore_errors=True)

    def kill_server(self) -> None:
        """All of its processes at once, as when the machine loses power; none gets to end its work."""
        pid = self.server.pid
        if pid is None:
            return
        segment = (self.server.data / "postmaster.pid").read_text().splitlines()[6].split()[-1]
        postmaster = psutil.Process(pid)
        os.kill(pid, signal.SIGSTOP)
        for process in [*postmaster.children(recursive=True), postmaster]:
            process.kill()
        postmaster.wait(10)
        # The next start would find and remove it; there is none.
        subprocess.run(["ipcrm", "-m", segment], check=False, capture_output=True)

    def near_goes_away(self) -> None:
        """A file where the directory was; in one step, or somebody would make a new directory there."""
        (self.folder / "near-away").touch()
        self._exchange()

    def near_comes_back(self) -> None:
        self._exchange()
        (self.folder / "near-away").unlink()

    def _exchange(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        paths = os.fsencode(self.folder / "near"), os.fsencode(self.folder / "near-away")
        assert libc.renameat2(-100, paths[0], -100, paths[1], _EXCHANGE) == 0, os.strerror(ctypes.get_errno())

    def far_goes_away(self, how: str) -> None:
        if how == "refuses":
            self.proxy.refuse_connections()
        else:
            self.proxy.plant(answer(503) if how == "is overloaded" else stall(10), times=None)

    def far_comes_back(self, how: str) -> None:
        if how == "refuses":
            self.proxy.accept_connections()
        else:
            self.proxy.heal()


def safe_until(states: list[dict[str, Any]], repository: str) -> datetime | None:
    """The newest moment of which the receiver has said: all that was committed before is in there."""
    claims = [
        parse_time(state["at"]) - timedelta(seconds=rpo)
        for state in states
        if (said := state["repositories"].get(repository))
        and (rpo := said["observed_rpo_seconds"]) is not None
    ]
    return max(claims, default=None)
