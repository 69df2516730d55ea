"""Recovery: it ends exactly where it was asked to, or it does not end in an open cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backstop.commands.wal.prefetch import Prefetcher, PrefetchSettings
from backstop.commands.wal.route import WalRoute
from backstop.commands.wal.sources import DirectoryWal
from backstop.errors import BackstopError, ObjectMissingError, RestoreError
from backstop.postgres.isolation import probe_isolation
from backstop.postgres.recovery import RecoveredCluster, ServerChoice
from backstop.postgres.recovery_settings import RecoveryStop
from embedded.postgres import EmbeddedPostgres, pip_postgres_bin
from tests.recovering import Source, give, start_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backstop.model.lsn import Lsn

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

COMMITS = 30


@dataclass
class Backup:
    """A source that has ended: its base backup, its WAL, and what had been committed when."""

    source: Source
    base: Path
    end: Lsn


VERSIONS = [
    pytest.param(18, marks=pytest.mark.xdist_group("recovery-18")),
    pytest.param(16, marks=pytest.mark.xdist_group("recovery-16")),
    pytest.param(15, marks=[pytest.mark.system, pytest.mark.xdist_group("recovery-15")]),
]


@pytest.fixture(scope="module", params=VERSIONS)
def backup(request: pytest.FixtureRequest) -> Iterator[Backup]:
    bin_dir = Path("/usr/lib/postgresql/15/bin") if request.param == 15 else pip_postgres_bin(request.param)
    if not (bin_dir / "postgres").exists():
        pytest.skip("needs Debian's postgresql-15")
    with tempfile.TemporaryDirectory(prefix="backstop-") as name:
        root = Path(name)
        root.chmod(0o711)
        settings = {"wal_level": "logical", "max_prepared_transactions": "5"}
        with EmbeddedPostgres(
            root / "pg", bin_dir=bin_dir, durable=False, die_with_parent=True, settings=settings
        ) as server:
            source = Source(server, root)
            source.receive()
            source.ledger.write(COMMITS // 3)
            base = source.base_backup(root / "base")
            source.ledger.write(COMMITS // 3)
            source.switch()
            with server.connect() as session:
                session.execute("SELECT pg_create_restore_point('before the accident')")
            source.ledger.write(COMMITS // 3)
            end = source.caught_up()
            source.stop_receiving()
        yield Backup(source, base, end)


@pytest.fixture
def work() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="backstop-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@dataclass
class Recovery:
    """One recovery of the backup, with everything filled in."""

    backup: Backup
    work: Path

    def __post_init__(self) -> None:
        self.isolation = probe_isolation()
        subprocess.run(["cp", "-a", str(self.backup.base), str(self.work / "data")], check=True)
        give(self.work / "data", self.isolation)
        self.start = start_of(self.work / "data")
        self.spool = self.work / "spool"

    def prefetcher(self, end: Lsn | None = None, wal: Path | None = None) -> Prefetcher:
        return Prefetcher(
            self.spool,
            sources=[DirectoryWal(wal or self.backup.source.wal)],
            route=WalRoute.on_one_timeline(1, self.start, end or self.backup.end),
            settings=PrefetchSettings(owner=self.isolation.owner, ahead_bytes=1),
        )

    def cluster(self, stop: RecoveryStop) -> RecoveredCluster:
        return RecoveredCluster(
            self.work,
            data=self.work / "data",
            spool=self.spool,
            choice=ServerChoice(self.backup.source.tools, self.isolation, shared_buffers="16MB"),
            stop=stop,
        )

    def ledger(self, stop: RecoveryStop) -> list[int]:
        """Recover to there; what the ledger holds then."""
        with self.prefetcher() as prefetcher, self.cluster(stop) as cluster:
            cluster.recover(at_most=self.backup.end + (1 << 20), check=prefetcher.check)
            with cluster.connection().connect() as session:
                rows = session.execute("SELECT n FROM public.ledger ORDER BY n").fetchall()
        return [row[0] for row in rows]


@pytest.fixture
def recovery(backup: Backup, work: Path) -> Recovery:
    return Recovery(backup, work)


def numbers(last: int) -> list[int]:
    return list(range(1, last + 1))


def test_recovery_to_a_time_brings_exactly_what_was_committed_by_then(recovery: Recovery) -> None:
    moment = recovery.backup.source.ledger.moments[17]

    assert recovery.ledger(RecoveryStop("time", moment.isoformat())) == numbers(17)


def test_recovery_to_an_lsn_brings_exactly_what_was_committed_by_then(recovery: Recovery) -> None:
    position = recovery.backup.source.ledger.positions[24]

    assert recovery.ledger(RecoveryStop("lsn", str(position), inclusive=False)) == numbers(24)


def test_recovery_to_a_transaction_includes_it_or_not(recovery: Recovery) -> None:
    transaction = recovery.backup.source.ledger.transactions[23]

    assert recovery.ledger(RecoveryStop("xid", transaction, inclusive=False)) == numbers(22)


def test_recovery_to_a_restore_point_ends_there(recovery: Recovery) -> None:
    assert recovery.ledger(RecoveryStop("name", "before the accident")) == numbers(20)


def test_recovery_to_the_earliest_moment_ends_with_the_base_backup(recovery: Recovery) -> None:
    assert recovery.ledger(RecoveryStop("immediate")) == numbers(10)


def test_recovery_to_the_latest_includes_the_segment_that_never_became_whole(recovery: Recovery) -> None:
    assert recovery.ledger(RecoveryStop("latest")) == numbers(COMMITS)


def test_a_target_after_the_last_commit_is_said_and_nothing_opens(recovery: Recovery) -> None:
    with pytest.raises(RestoreError, match="WAL ends before the target"):
        recovery.ledger(RecoveryStop("time", "2126-01-01 00:00:00+00"))


def test_a_missing_segment_stops_recovery_and_names_it(recovery: Recovery) -> None:
    wal = recovery.work / "wal"
    subprocess.run(["cp", "-a", str(recovery.backup.source.wal), str(wal)], check=True)
    missing = sorted(wal.glob("[0-9A-F]*[0-9A-F]"))[-1]
    missing.unlink()

    with (
        pytest.raises(ObjectMissingError, match=missing.name),
        recovery.prefetcher(wal=wal) as prefetcher,
        recovery.cluster(RecoveryStop("latest")) as cluster,
    ):
        cluster.recover(at_most=recovery.backup.end + (1 << 20), check=prefetcher.check)
    assert not list((recovery.work / "data/pg_wal").glob("00000002*"))


def test_a_starved_recovery_waits_and_then_goes_on(recovery: Recovery, monkeypatch) -> None:
    monkeypatch.setattr(DirectoryWal, "fetch_segment", slowly(DirectoryWal.fetch_segment))

    assert recovery.ledger(RecoveryStop("latest")) == numbers(COMMITS)


def slowly(fetch):
    def fetch_slowly(self, segment, destination):
        time.sleep(1.5)
        fetch(self, segment, destination)

    return fetch_slowly


def test_a_killed_prefetcher_stops_recovery_and_never_promotes(recovery: Recovery) -> None:
    # Another process prefetches, and is killed before it has brought everything.
    program = (
        "import sys, time, pathlib; sys.path[:0] = ['plugins', '.']\n"
        "from backstop.commands.wal.sources import DirectoryWal\n"
        "from backstop.commands.wal.prefetch import *; from backstop.commands.wal.route import *\n"
        "fetch = DirectoryWal.fetch_segment\n"
        "def hang(self, segment, destination):\n"
        "    if segment.number >= int(sys.argv[4]): time.sleep(600)\n"
        "    fetch(self, segment, destination)\n"
        "DirectoryWal.fetch_segment = hang\n"
        "route = WalRoute.on_one_timeline(1, Lsn.parse(sys.argv[2]), Lsn.parse(sys.argv[3]))\n"
        "settings = PrefetchSettings(owner=int(sys.argv[6]))\n"
        "with Prefetcher(pathlib.Path(sys.argv[1]), sources=[DirectoryWal(pathlib.Path(sys.argv[5]))],\n"
        "                route=route, settings=settings):\n"
        "    print('up', flush=True); time.sleep(600)\n"
    )
    second = recovery.start.position // (16 * 1024 * 1024) + 1
    process = subprocess.Popen(
        [
            sys.executable, "-c", program, str(recovery.spool), str(recovery.start), str(recovery.backup.end),
            str(second), str(recovery.backup.source.wal), str(recovery.isolation.owner),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stdout
    assert process.stdout.readline() == "up\n"
    killer = threading.Timer(2, os.kill, [process.pid, signal.SIGKILL])
    killer.start()

    with (
        pytest.raises(BackstopError, match="WAL file it needs did not come"),
        recovery.cluster(RecoveryStop("latest")) as cluster,
    ):
        cluster.recover(at_most=recovery.backup.end + (1 << 20))
    process.wait()
    assert not list((recovery.work / "data/pg_wal").glob("00000002*"))


def test_an_end_before_the_planned_one_is_refused_before_anybody_connects(recovery: Recovery) -> None:
    with (
        recovery.prefetcher() as prefetcher,
        recovery.cluster(RecoveryStop("latest")) as cluster,
        pytest.raises(RestoreError, match="the WAL it was to replay reaches to"),
    ):
        cluster.recover(
            at_most=recovery.backup.end + (1 << 21),
            at_least=recovery.backup.end + (1 << 20),
            check=prefetcher.check,
        )


def test_settings_of_the_source_change_nothing(recovery: Recovery) -> None:
    caught = recovery.work / "data/postgresql.auto.conf"
    with caught.open("a") as stream:
        stream.write(
            "archive_mode = always\narchive_command = 'touch /tmp/disturbed'\n"
            "synchronous_standby_names = '*'\nprimary_conninfo = 'host=production'\n"
            "primary_slot_name = 'theirs'\nrecovery_target_time = '2001-01-01'\nlisten_addresses = '*'\n"
            "shared_preload_libraries = 'nowhere'\nmax_logical_replication_workers = 8\n"
        )
    (recovery.work / "data/standby.signal").touch()

    with (
        recovery.prefetcher() as prefetcher,
        recovery.cluster(RecoveryStop("latest")) as cluster,
    ):
        cluster.recover(at_most=recovery.backup.end + (1 << 20), check=prefetcher.check)
        with cluster.connection().connect() as session:
            session.execute("CREATE TABLE public.commits_wait_for_nobody ()")
            found = session.execute(
                "SELECT current_setting('archive_mode'), current_setting('listen_addresses'), "
                "current_setting('max_logical_replication_workers'), pg_is_in_recovery()"
            ).fetchone()
        cluster.shut_down()
        assert cluster.check_pages() is not None
        cluster.start_again()

    assert found == ("off", "", "0", False)
