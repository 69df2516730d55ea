"""A server, a receiver in a process of its own, and two repositories: all that a disaster can strike."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from backstop.commands.base.backup import take_base_backup
from backstop.commands.progress import Silent
from backstop.commands.wal.holds import WalHeld
from backstop.credentials import FileCredentials
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import create_signing_keys
from backstop.model.canonical import parse_time
from backstop.settings.arguments import utc_now
from backstop.settings.cluster import base_backup_settings
from backstop.targets import load_targets
from backstop.wiring import open_keyring, open_repositories, open_signer, replication_connection
from embedded.process import tether
from tests.faults.line import Line
from tests.faults.s3_proxy import FaultyS3Proxy, answer, stall

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from backstop.commands.backup_report import BaseBackupReport
    from backstop.model.backup import BackupKind
    from backstop.model.lsn import Lsn
    from backstop.repository.catalog import Repository
    from embedded.postgres import EmbeddedPostgres
    from embedded.seaweedfs import EmbeddedSeaweedFS

TARGET = "calibrify"
NEAR, FAR = "near", "far"
LINE_HANGS = "line hangs"
CHECKOUT = Path(__file__).resolve().parents[2]
_EXCHANGE = 2


@dataclass
class Site:
    """See the module.

    :param folder: short, and open to the server's user.
    """

    folder: Path
    server: EmbeddedPostgres
    s3: EmbeddedSeaweedFS
    synchronous: bool = False
    interrupted: str = ""
    """What is going to be out of reach: only then it is reached through us, which costs time."""
    states: list[dict[str, Any]] = field(default_factory=list)
    """What the receiver has said about itself, all of it."""

    def __post_init__(self) -> None:
        self.spool = self.folder / "spool"
        self.proxy = FaultyS3Proxy(self.s3.endpoint_url)
        self.line = Line(self.server.host, self.server.port)
        self._through_proxy = self.interrupted.startswith(FAR)
        if self._through_proxy:
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
    endpoint_url: {(self.proxy if self._through_proxy else self.s3).endpoint_url}
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
        if self.interrupted == LINE_HANGS:
            source = replace(source, port=self.line.port)
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
        self.witnessed.mkdir()
        self.witness()
        self._sampler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill_receiver()
        self.kill_server()
        self._ended.set()
        if self._through_proxy:
            self.proxy.__exit__(None, None, None)
        self.line.close()

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

    @property
    def witnessed(self) -> Path:
        """All WAL the server ever wrote, to judge by: its own files, which it forgets and never reuses."""
        return self.folder / "witnessed"

    def witness(self) -> None:
        for entry in os.scandir(self.server.data / "pg_wal"):
            if len(entry.name) == 24 and not (self.witnessed / entry.name).exists():
                with contextlib.suppress(FileNotFoundError):
                    os.link(entry.path, self.witnessed / entry.name)

    def _sample(self) -> None:
        while not self._ended.wait(0.03):
            with contextlib.suppress(FileNotFoundError):
                self.witness()
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
