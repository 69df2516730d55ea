"""Two deployments in one repository, by mistake: the second is refused, told by whom, and changes nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from backstop.repository.lock import EXPIRY, Lease
from backstop.settings.arguments import utc_now
from backstop.storage.posix import PosixStorage
from embedded.postgres import EmbeddedPostgres, pip_postgres_bin
from tests.cli.installation import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backstop.postgres.connection import ClusterConnection

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

LEASE = Path("calibrify/meta/lease/dump/000000000001-000000.json")


@dataclass
class Deployment:
    """A targets.yaml, credentials and an inventory of its own; the repository is where the other one's is."""

    folder: Path
    repository: Path
    source: ClusterConnection
    inventory: ClusterConnection
    keys: Path

    def __post_init__(self) -> None:
        self.folder.mkdir(mode=0o700)
        keys = {
            "storage": "local", "path": f"{self.keys}/ring.json", "signing": f"{self.keys}/signing",
            "escrow": {"waived": "test"},
        }  # fmt: skip
        database = {
            "conn_id": "source", "dbname": self.source.dbname, "repositories": ["shared"],
            "spool": str(self.folder / "spool"), "retention": {"shared": {"keep_last": 1, "min_proven": 1}},
        }  # fmt: skip
        document = {
            "version": 1,
            "keys": {"lab": keys},
            "repositories": {"shared": {"type": "posix", "path": str(self.repository)}},
            "inventory": {"conn_id": "inventory"},
            "targets": {"calibrify": {"keys": "lab", "database": database}},
        }
        (self.folder / "targets.yaml").write_text(yaml.safe_dump(document))
        credentials = self.folder / "connections.json"
        credentials.touch(mode=0o600)
        credentials.write_text(
            json.dumps({"source": credential(self.source), "inventory": credential(self.inventory)})
        )
        if not self.keys.exists():
            self.keys.mkdir(mode=0o700)
            assert self.run("init-keys").returncode == 0
        assert self.run("migrate-inventory").returncode == 0

    def start(self, *argv: str) -> subprocess.Popen[str]:
        environment = {
            "PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT / "plugins"),
            "BACKSTOP_TARGETS": str(self.folder / "targets.yaml"),
            "BACKSTOP_CREDENTIALS": str(self.folder / "connections.json"),
        }  # fmt: skip
        return subprocess.Popen(
            [sys.executable, "-m", "backstop", *argv],
            env=environment, cwd="/", text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*argv)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(argv, process.returncode, out, " ".join(err.split()))

    def stored(self) -> dict[str, bytes]:
        """Everything in the repository that is not on its way."""
        files = (one for one in self.repository.rglob("*") if one.is_file() and ".tmp" not in one.parts)
        return {str(one.relative_to(self.repository)): one.read_bytes() for one in files}

    def labels(self) -> list[str]:
        return sorted(one.stem for one in (self.repository / "calibrify/meta/manifests").iterdir())


def credential(way: ClusterConnection) -> dict[str, Any]:
    return {
        "conn_type": "postgres", "host": way.host, "port": way.port, "login": way.user,
        "password": way.password, "schema": way.dbname,
    }  # fmt: skip


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="backstop-cli-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def first(folder, database, new_database, postgres18) -> Deployment:
    with database.connect() as session:
        session.execute("CREATE TABLE public.equipment AS SELECT n FROM generate_series(1, 1000) n")
    return Deployment(folder / "one", folder / "shared", database, new_database(postgres18), folder / "keys")


def another(
    first: Deployment, source: ClusterConnection, inventory: ClusterConnection, **own: Path
) -> Deployment:
    return Deployment(
        first.folder.parent / "two", first.repository, source, inventory, own.get("keys", first.keys)
    )


def test_while_one_backs_up_the_other_is_refused_told_who_it_is_and_writes_nothing(
    first, new_database, postgres18
):
    second = another(first, first.source, new_database(postgres18))
    running = first.start("back-up-database")
    wait_for(first.repository / LEASE, running)
    os.kill(running.pid, signal.SIGSTOP)  # as slow as a backup of a terabyte
    try:
        before, refused = first.stored(), second.run("back-up-database")
        assert first.stored() == before
    finally:
        os.kill(running.pid, signal.SIGCONT)

    assert refused.returncode == 5
    claim = json.loads(before[str(LEASE)])
    assert f"dump backups of calibrify in {first.repository} are being written by " in refused.stderr
    assert f"`python -m backstop` with {first.folder}/targets.yaml, by " in refused.stderr
    assert f"on {claim['host']} (process {running.pid}), since 20" in refused.stderr
    assert "should that be another deployment, give it its own repository" in refused.stderr
    _, err = running.communicate(timeout=120)
    assert running.returncode == 0, err
    assert len(first.labels()) == 1
    # Of the same database each may take its turn: a backup is a backup, whoever took it.
    assert second.run("back-up-database").returncode == 0
    assert first.run("back-up-database").returncode == 0
    assert len(first.labels()) == 3


@pytest.mark.parametrize("where", ["another server", "the same server"])
def test_another_database_under_the_same_name_never_gets_into_the_repository(
    first, new_database, postgres16, postgres18, where
):
    server = postgres16 if where == "another server" else postgres18
    second = another(first, new_database(server), new_database(postgres18))
    assert first.run("back-up-database").returncode == 0
    [label] = first.labels()

    refused = second.run("back-up-database")

    assert refused.returncode == 1
    assert f"{label} of calibrify in shared is of " in refused.stderr
    assert "give another database another target, or another repository" in refused.stderr
    assert first.labels() == [label]
    assert first.run("back-up-database").returncode == 0


@pytest.fixture
def own_server(servers_directory) -> Iterator[EmbeddedPostgres]:
    """A server whose files a test may copy."""
    with tempfile.TemporaryDirectory(dir=servers_directory) as root:
        Path(root).chmod(0o711)
        with server_in(Path(root) / "original") as server:
            yield server


def server_in(directory: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(directory, bin_dir=pip_postgres_bin(18), durable=False, die_with_parent=True)


def test_a_copy_of_the_servers_files_is_told_by_the_wal_that_it_has_not(
    folder, own_server, new_database, postgres18
):
    own_server.stop()
    copied = own_server.directory.with_name("copied")
    subprocess.run(["cp", "-a", str(own_server.directory), str(copied)], check=True)
    (copied / "port").unlink()
    own_server.start()
    first = Deployment(
        folder / "one", folder / "shared", own_server.connection(), new_database(postgres18), folder / "keys"
    )
    with own_server.connect() as session:
        session.execute("CREATE TABLE public.equipment AS SELECT n FROM generate_series(1, 1000) n")
    assert first.run("back-up-database").returncode == 0
    [label] = first.labels()
    with server_in(copied) as copy:
        second = another(first, copy.connection(), new_database(postgres18))

        refused = second.run("back-up-database")

        assert refused.returncode == 1
        assert f"{label} of calibrify in shared was taken at " in refused.stderr
        assert "it is a copy of that one, or was put back to an earlier state" in refused.stderr
        assert first.labels() == [label]
        [allowed] = re.findall("--new-cluster ([0-9]+)", refused.stderr)
        assert second.run("back-up-database", "--new-cluster", allowed).returncode == 0
        assert len(first.labels()) == 2


def test_one_with_keys_of_its_own_is_refused_where_it_trusts_nothing_that_is_there(
    first, new_database, postgres18
):
    second = another(first, first.source, new_database(postgres18), keys=first.folder.parent / "own-keys")
    assert first.run("back-up-database").returncode == 0
    [label] = first.labels()

    refused = second.run("back-up-database")

    assert refused.returncode == 4
    assert "shared holds dumps of calibrify, and none that we trust" in refused.stderr
    assert f"{label} of calibrify is signed by the unknown key" in refused.stderr
    assert "another deployment with keys of its own backs up into it" in refused.stderr
    assert first.labels() == [label]


def test_while_one_expires_the_other_removes_nothing(first, new_database, postgres18):
    second = another(first, first.source, new_database(postgres18))
    for _ in range(2):
        assert first.run("back-up-database").returncode == 0
        assert first.run("verify").returncode == 0
    labels = first.labels()
    storage = PosixStorage(first.repository)

    with Lease.acquire(
        storage, "calibrify", EXPIRY, holder="Airflow at https://one.example.org", clock=utc_now
    ):
        refused = second.run("expire", "--yes")

    assert refused.returncode == 5
    assert "are being expired, or healed, by Airflow at https://one.example.org on " in refused.stderr
    assert first.labels() == labels
    # Then it expires what the rules of its own targets.yaml let go, once, whoever took it.
    assert second.run("expire", "--yes").returncode == 0
    assert first.run("expire", "--yes").returncode == 0
    assert first.labels() == labels[-1:]


def test_a_newer_inventory_delays_bookkeeping_and_no_backup(first):
    with first.inventory.connect() as session:
        session.execute(
            "INSERT INTO public.backup_schema_migration (version, name) VALUES (99, '0099_tomorrow')"
        )

    taken = first.run("back-up-database")

    assert taken.returncode == 0
    assert "was migrated by a newer Backstop (0099_tomorrow)" in taken.stderr
    assert len(first.labels()) == 1


def wait_for(path: Path, running: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)
