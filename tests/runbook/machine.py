"""A Calibrify host of the embedded stack, without Airflow, with the names that the runbook gives things."""

from __future__ import annotations

import io
import os
import shutil
import signal
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from backstop.model.lsn import Lsn
from embedded import databases, sample
from embedded.accounts import postgres_account
from embedded.configuration import variables
from embedded.home import CHECKOUT, Home
from embedded.stack import Stack
from embedded.steps import Steps
from tests.runbook.following import Shell, follow, prepare, replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: The names of the page for what every test has to put its own in the place of.
MOMENT = "2026-11-23T14:31:59Z"
CONFIG_LABEL = "20261123T020000Z-tree-config"
FULL_LABEL = "20261122T030000Z-full"
KEY = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
SCALE = 0.01

_SYSTEMCTL = """\
import sys
sys.path[:0] = [{plugins!r}, {checkout!r}]
from pathlib import Path
from embedded.home import Home
from embedded.stack import Stack
stack = Stack(Home(Path({root!r})))
verb, unit = sys.argv[1:]
parts = {{
    "postgresql": stack.protected,
    "backstop-archive-wal@calibrify": stack.receiver(),
}}
if verb in ("stop", "restart"):
    parts[unit].stop()
if verb in ("start", "restart"):
    parts[unit].start()
"""

_AWS = """\
import json, os, sys
import boto3
service, verb, _, key = sys.argv[1:]
client = boto3.client(service, endpoint_url=os.environ["KMS_ENDPOINT"], region_name="eu-central-1",
                      aws_access_key_id="x", aws_secret_access_key="x")
# AWS takes ARNs, moto only ids.
print(getattr(client, verb.replace("-", "_"))(KeyId=key.rpartition("/")[2]))
"""


class Machine:
    """Everything but Airflow, and somebody at its keyboard.

    :param root: a new folder that other users can enter.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = Home(root / "home")
        self.stack = Stack(self.home)
        self.bin = root / "bin"
        self.temporary = root / "tmp"
        self.safe = root / "safe"
        self.moment = ""
        self.labels: dict[str, str] = {}
        self.key = KEY
        self.kms_endpoint = ""

    # -- Set up ----------------------------------------------------------------------------------------------

    def start(self, *, with_airflow: bool = False) -> None:
        self.temporary.mkdir()
        self.temporary.chmod(0o1777)
        self.stack.up(Steps(io.StringIO()), without_airflow=not with_airflow)
        sample.load(self.stack.protected.connection(), scale=SCALE)
        databases.grant_backup_role(self.stack.protected)
        sample.write_media(self.home.media, scale=SCALE)
        sample.write_config(self.home.host)
        self._put_keys_into_the_safe()
        self._shims()
        self.back_up()

    def stop(self) -> None:
        self.stack.down(Steps(io.StringIO()))
        shutil.rmtree(self.root, ignore_errors=True)

    def _put_keys_into_the_safe(self) -> None:
        self.safe.mkdir(mode=0o700)
        shutil.copy(self.home.keyring, self.safe / "keyring.json")
        escrow = rsa.generate_private_key(public_exponent=65537, key_size=4096)
        (self.safe / "escrow.pem").write_bytes(
            escrow.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        (self.safe / "escrow.pem").chmod(0o600)
        public = self.home.root / "escrow.pub"
        public.write_bytes(
            escrow.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        document = yaml.safe_load(self.home.targets.read_text())
        document["keys"]["calibrify"]["escrow"] = {"public_key": str(public)}
        self.home.targets.write_text(yaml.safe_dump(document, allow_unicode=True))

    def _shims(self) -> None:
        """What the page types and this machine has not: services, other users, AWS."""
        self.bin.mkdir(mode=0o755)
        named = {"plugins": str(CHECKOUT / "plugins"), "checkout": str(CHECKOUT), "root": str(self.home.root)}
        for name, script in (("systemctl", _SYSTEMCTL.format(**named)), ("aws", _AWS)):
            self._program(name, f"#!{sys.executable}\n{script}")
        server = self.stack.protected
        account = postgres_account(server.directory, server.bin_dir)
        user = [f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups", "--"]
        become = " ".join(account.prefix or (["setpriv", *user] if account.uid is not None else []))
        self._program(
            "sudo",
            "#!/bin/sh\n"
            f"export PGHOST=127.0.0.1 PGPORT={server.port} PGUSER=postgres\n"
            f"export PGPASSWORD={server.password('postgres')}\n"
            f'shift 2\nexec {become} "$@"\n',
        )

    def _program(self, name: str, text: str) -> None:
        path = self.bin / name
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)

    # -- At the keyboard -------------------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        folders = [self.bin, Path(sys.executable).parent, self.stack.protected.bin_dir, "/usr/bin", "/bin"]
        return {
            "PATH": os.pathsep.join(map(str, folders)),
            "HOME": str(self.root),
            "LANG": "C.UTF-8",
            "KMS_ENDPOINT": self.kms_endpoint,
            **{name: value for name, value in variables(self.home).items() if name == "BACKSTOP_PG_BIN"},
        }

    @property
    def words(self) -> Callable[[str], str]:
        home = self.home
        return replacing(
            {
                "/opt/backstop/.venv": sys.prefix,
                "/opt/backstop": str(CHECKOUT),
                "/etc/backstop": str(home.root),
                "/var/lib/postgresql/18/main": str(home.protected / "data"),
                "/var/lib/backstop/recovered": str(home.recovered),
                "/opt/calibrify": str(home.host / "opt/calibrify"),
                "/var/www/calibrify/media": str(home.media),
                "/media/safe": str(self.safe),
                "/var/tmp": str(self.temporary),  # noqa: S108
                "/tmp": str(self.temporary),  # noqa: S108
                MOMENT: lambda: self.moment,
                CONFIG_LABEL: lambda: self.labels["config"],
                FULL_LABEL: lambda: self.labels["full"],
                KEY: lambda: self.key,
            }
        )

    def follow(
        self,
        title: str,
        meanwhile: Mapping[str, Callable[[], object] | Sequence[Callable[[], object]]] | None = None,
    ) -> list[str]:
        """Every line of that section, in a terminal of its own."""
        shell = Shell(self.environment)
        try:
            prepare(shell.run, self.words)
            return follow(title, shell.run, words=self.words, meanwhile=meanwhile)
        finally:
            shell.close()

    def decide(self, title: str, part: str) -> list[str]:
        """The lines of one part of a section: what its table of decisions leads to."""
        shell = Shell(self.environment)
        try:
            prepare(shell.run, self.words)
            return follow(title, shell.run, words=self.words, part=part)
        finally:
            shell.close()

    def run(self, *lines: str) -> str:
        """Commands that are not the page's."""
        shell = Shell(self.environment)
        try:
            prepare(shell.run, self.words)
            said = ""
            for line in lines:
                code, one = shell.run(line)
                assert code == 0, f"{line}\n{one}"
                said += one
            return said
        finally:
            shell.close()

    def back_up(self) -> None:
        """A backup of each kind, proven where the page asks for a proven one."""
        backstop = "python -m backstop"
        self.run(
            f"{backstop} back-up-database",
            f"{backstop} verify --label latest --repository local",
            f"{backstop} take-base-backup --full",
            f"{backstop} back-up-files --tree media",
            f"{backstop} back-up-files --tree config",
        )
        self.labels["full"] = self.newest("-full")
        self.labels["config"] = self.newest("-tree-config")

    def newest(self, kind: str) -> str:
        labels = [path.name for path in self.home.repository.rglob(f"*{kind}*")]
        found = [name[: name.index(kind) + len(kind)] for name in labels]
        return max(one for one in found if one[:8].isdigit())

    # -- What is there, and what becomes of it ---------------------------------------------------------------

    def ask(self, query: str, *, database: str = "calibrify") -> Any:
        with self.stack.protected.connect(database) as session:
            cursor = session.execute(query.encode())
            return cursor.fetchone()[0] if cursor.description else None

    def note_the_time(self) -> None:
        """The moment just before what comes next, when everything that was committed is stored."""
        self.wait_until_archived()
        self.moment = self.ask(
            "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
        )
        time.sleep(0.01)

    def wait_until_archived(self) -> None:
        """Until every commit so far is in a repository."""
        position = Lsn.parse(self.ask("SELECT pg_current_wal_flush_lsn()"))
        confirmed = (
            "SELECT coalesce(max(flush_lsn), '0/0') FROM pg_stat_replication "
            "WHERE application_name = 'backstop_wal'"
        )
        deadline = time.monotonic() + 120
        while Lsn.parse(self.ask(confirmed)) < position:
            assert time.monotonic() < deadline, self.stack.receiver().log.read_text()[-2000:]
            time.sleep(0.05)

    def lose_the_data_directory(self) -> None:
        """The server dies, and so does what it stood on."""
        pid = self.stack.protected.pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            deadline = time.monotonic() + 30
            while self.stack.protected.pid is not None:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        shutil.rmtree(self.stack.protected.data)
