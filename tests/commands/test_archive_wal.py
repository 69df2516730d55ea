"""WAL of a real server under load is in the repositories, whole, in order and in time, whatever happens."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import threading
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from backstop.commands.wal.watch import observe_archiving
from backstop.errors import IntegrityError, SourceError, StorageUnavailableError, WalLostError
from backstop.model.lsn import Lsn
from backstop.postgres.replication import ReplicationConnection
from backstop.postgres.wal_stream import WalStream
from backstop.repository.catalog import Catalog, Repository
from backstop.storage.memory import MemoryStorage
from backstop.storage.s3_errors import ForbiddenError
from embedded.postgres import EmbeddedPostgres, pip_postgres_bin
from tests.commands.archiving import KEEP_WAL, SEGMENT_BYTES, SLOT, TARGET, Archiver, Protected, wait_for
from tests.protection import utc_now

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration


@pytest.fixture(params=[18, pytest.param(16, marks=pytest.mark.long)])
def server(request: pytest.FixtureRequest, folder: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(
        folder / "postgres",
        bin_dir=pip_postgres_bin(request.param),
        settings=KEEP_WAL,
        durable=False,
        die_with_parent=True,
    ) as running:
        yield running


@pytest.fixture
def protected(folder: Path, server: EmbeddedPostgres) -> Protected:
    return Protected(folder, server)


# How a server sends, ends and waits is asked of both every time; what is done with it then, of the newest.
also16 = pytest.mark.parametrize("server", [18, 16], indirect=True)
only18 = pytest.mark.parametrize("server", [18], indirect=True)


class Flaky(MemoryStorage):
    """A repository that can be taken away."""

    down = False

    def _refuse(self) -> None:
        if self.down:
            raise StorageUnavailableError(f"{self.location} does not answer")

    def put_once(self, key, data):
        self._refuse()
        return super().put_once(key, data)

    def upload(self, key, source):
        self._refuse()
        return super().upload(key, source)

    def list(self, prefix):
        self._refuse()
        return super().list(prefix)

    def check(self):
        self._refuse()


@also16
def test_every_byte_of_wal_is_in_every_repository_as_the_server_wrote_it(folder, server):
    protected = Protected(folder, server, other=MemoryStorage())
    with protected.archiver():
        wait_for("the slot", lambda: protected.ask("SELECT count(*) FROM pg_replication_slots"))
        protected.write_wal(5)
        end = protected.position()
        protected.wait_until_archived(end)
        protected.wait_until_archived(end, "other")

    assert protected.compare("local", until=end) >= 4
    assert protected.compare("other", until=end) >= 4


def test_pieces_of_a_segment_go_once_it_is_whole(protected):
    with protected.archiver():
        protected.write_wal(0.3)
        protected.wait_until_archived(protected.position())
        assert len(list(protected.archive().tails(1))) >= 1
        protected.write_wal(2)
        protected.wait_until_archived(protected.position())
        wait_for("the tail to shrink", lambda: len({d.segment for d in protected.archive().tails(1)}) == 1)

    protected.compare()


@only18
def test_many_small_pieces_become_one_and_the_tail_stays_whole(protected, monkeypatch):
    monkeypatch.setattr("backstop.commands.wal.tail._MERGED", 5)
    with protected.archiver(replace(protected.settings, synchronous=True)):
        protected.write_wal(0.05)
        for _ in range(25):
            protected.run("INSERT INTO filling VALUES ('one small row')")
            protected.wait_until_archived(protected.position())
        wait_for("merging", lambda: len(list(protected.archive().tails(1))) < 20)
        end = protected.position()
        protected.wait_until_archived(end)

    protected.compare(until=end)


def test_a_commit_reaches_the_repository_within_two_seconds(protected):
    with protected.archiver():
        protected.write_wal(0.1)
        protected.wait_until_archived(protected.position())
        for _ in range(3):
            protected.run("INSERT INTO filling VALUES ('one small row')")
            written, end = time.monotonic(), protected.position()
            protected.wait_until_archived(end)
            # The promise is two seconds; a loaded machine gets some more.
            assert time.monotonic() - written < 6.0


def test_nothing_is_confirmed_that_a_repository_lacks(folder, server, monkeypatch):
    protected = Protected(folder, server, other=MemoryStorage())
    confirmed: list[Lsn] = []
    ahead: list[str] = []
    original = WalStream.confirm

    def confirm(self, flushed, written=None):
        confirmed.append(flushed)
        if len(confirmed) % 7 == 1:  # looking takes time
            for name in protected.storages:
                has = protected.archived_until(name)
                if flushed > max(has, first):
                    ahead.append(f"{flushed} was confirmed while {name} ended at {has}")
        original(self, flushed, written)

    monkeypatch.setattr(WalStream, "confirm", confirm)
    with server.connect() as session:
        session.execute("SELECT pg_create_physical_replication_slot(%s, true)", [SLOT])
    first = protected.slot_position()
    with protected.archiver():
        protected.write_wal(4)
        end = protected.position()
        wait_for("the confirmation", lambda: protected.slot_position() >= end)

    assert confirmed
    assert ahead == []


@only18
def test_a_receiver_killed_at_any_moment_and_its_spool_lost_leave_no_gap(protected):
    writing = threading.Event()
    writing.set()

    def load() -> None:
        while writing.is_set():
            protected.write_wal(0.7)

    def received() -> int:
        return int(protected.ask("SELECT count(*) FROM pg_stat_replication"))

    writer = threading.Thread(target=load)
    writer.start()
    try:
        for pause in (1.2, 2.0, 1.5, 2.7):
            wait_for("the last one to go", lambda: not received())
            process = protected.process()
            try:
                wait_for("the receiver", received)
                time.sleep(pause)
            finally:
                process.send_signal(signal.SIGKILL)
                process.wait()
            shutil.rmtree(protected.folder / "spool", ignore_errors=True)
    finally:
        writing.clear()
        writer.join()
    end = protected.position()
    with protected.archiver():
        protected.wait_until_archived(end)

    assert protected.compare(until=end) >= 2


def test_a_server_that_crashes_under_load_is_waited_for(protected):
    with protected.archiver() as archiver:
        protected.write_wal(1)
        for _ in range(2):
            stopper = threading.Timer(0.5, lambda: crash(protected.server))
            stopper.start()
            write_until_it_fails(protected)
            stopper.join()
            wait_for("the loss of the connection", lambda: not archiver.state.connected)
            protected.server.start()
            protected.write_wal(0.5)
        end = protected.position()
        protected.wait_until_archived(end)

    protected.compare(until=end)


def write_until_it_fails(protected: Protected) -> None:
    with contextlib.suppress(psycopg.OperationalError):
        while True:
            protected.write_wal(0.5)


def crash(server: EmbeddedPostgres) -> None:
    from embedded import process

    assert server.pid is not None
    process.stop(server.pid, first=signal.SIGQUIT, patience=20)


@also16
def test_a_server_that_shuts_down_gets_its_last_wal_archived_and_ends(protected):
    with protected.archiver():
        protected.write_wal(0.2)
        protected.wait_until_archived(protected.position())
        began = time.monotonic()
        protected.server.stop(patience=20)
        assert time.monotonic() - began < 10
        protected.server.start()
        end = protected.position()
        protected.wait_until_archived(end)

    protected.compare(until=end)


@only18
def test_a_repository_that_was_away_is_left_behind_and_topped_up(folder, server):
    away = Flaky()
    protected = Protected(folder, server, away=away)
    with protected.archiver() as archiver:
        protected.write_wal(1)
        protected.wait_until_archived(protected.position(), "away")
        away.down = True
        protected.write_wal(4)
        end = protected.position()
        protected.wait_until_archived(end)
        wait_for("confirmation without it", lambda: protected.slot_position() >= end)
        wait_for("its state", lambda: archiver.state.repositories["away"].standing == "behind")
        assert "does not answer" in archiver.state.repositories["away"].error
        assert archiver.state.repositories["away"].observed_rpo > timedelta(0)
        # The server writes a little by itself, which is on its way.
        assert archiver.state.observed_rpo < timedelta(seconds=3)
        away.down = False
        wait_for("its return", lambda: archiver.state.repositories["away"].standing == "working")
        protected.write_wal(1)
        end = protected.position()
        protected.wait_until_archived(end, "away")

    protected.compare("away", until=end)


class AsWriter:
    """A repository as its writer has it: reads no payload."""

    def __init__(self, storage):
        self._storage = storage

    def __getattr__(self, name):
        return getattr(self._storage, name)

    def read(self, key, **given):
        self._refuse(key)
        return self._storage.read(key, **given)

    def open(self, key, **given):
        self._refuse(key)
        return self._storage.open(key, **given)

    def _refuse(self, key):
        if "/data/" in key or "/tail/" in key:
            raise ForbiddenError(f"{key}: HTTP 403 AccessDenied", hint="grant it")


@only18
def test_what_a_repository_missed_is_read_elsewhere_by_who_may_and_not_by_the_writer(folder, server):
    stored = {"local": MemoryStorage("local"), "away": Flaky("away")}
    protected = Protected(folder, server, **stored)
    writers = {name: AsWriter(storage) for name, storage in stored.items()}
    asked = []

    def reading(name):
        asked.append(name)
        return stored[name]

    given = protected.server.connection(), writers, protected.keyring, protected.settings, reading
    with Archiver(*given) as archiver:
        protected.write_wal(1)
        protected.wait_until_archived(protected.position(), "away")
        assert asked == []
        stored["away"].down = True
        protected.write_wal(3)
        wait_for("its state", lambda: archiver.state.repositories["away"].standing == "behind")
        stored["away"].down = False
        wait_for("its return", lambda: archiver.state.repositories["away"].standing == "working")
        end = protected.position()
        protected.wait_until_archived(end, "away")

    assert set(asked) == {"local"}
    protected.compare("away", until=end)


@only18
def test_a_repository_that_was_away_over_a_restart_gets_all_it_missed(folder, server):
    away = Flaky()
    protected = Protected(folder, server, away=away)
    with protected.archiver():
        protected.write_wal(1)
        protected.wait_until_archived(protected.position(), "away")
        away.down = True
        protected.write_wal(3)
        end = protected.position()
        wait_for("confirmation without it", lambda: protected.slot_position() >= end)
    with protected.archiver() as archiver:
        protected.write_wal(1)
        wait_for("its state", lambda: archiver.state.repositories["away"].standing == "behind")
        away.down = False
        wait_for("its return", lambda: archiver.state.repositories["away"].standing == "working")
        end = protected.position()
        protected.wait_until_archived(end, "away")

    protected.compare("away", until=end)


@only18
def test_while_no_repository_works_nothing_is_confirmed_and_nothing_lost(folder, server):
    protected = Protected(folder, server)
    protected.storages = {"away": (away := Flaky())}
    settings = replace(protected.settings, max_spool_bytes=48 * 1024**2)
    with protected.archiver(settings) as archiver:
        protected.write_wal(1)
        protected.wait_until_archived(protected.position(), "away")
        away.down = True
        before = protected.slot_position()
        protected.write_wal(6)
        wait_for("its state", lambda: archiver.state.repositories["away"].standing == "behind")
        time.sleep(2)
        assert protected.slot_position() - before < 16 * 1024**2
        assert archiver.state.spooled_bytes <= 64 * 1024**2
        away.down = False
        end = protected.position()
        protected.wait_until_archived(end, "away")

    protected.compare("away", until=end)


@only18
def test_a_dropped_slot_is_a_clear_error_and_archiving_goes_on_only_when_told(protected):
    with protected.archiver():
        protected.write_wal(2)
        protected.wait_until_archived(protected.position())
    protected.run(f"SELECT pg_drop_replication_slot('{SLOT}')")

    with protected.archiver() as archiver:
        error = archiver.failure()
    assert isinstance(error, WalLostError)
    assert f"slot {SLOT} of" in error.message
    assert "may be missing" in error.message
    assert "take a new base backup" in error.hint

    # The server still has everything, so nothing is missing after all.
    with protected.archiver(replace(protected.settings, recreate_slot=True)):
        protected.write_wal(1)
        end = protected.position()
        protected.wait_until_archived(end)
    protected.compare(until=end)


@only18
def test_a_slot_made_anew_behind_our_back_leaves_no_gap_that_the_server_could_fill(protected):
    with protected.archiver():
        protected.write_wal(0.3)
        protected.wait_until_archived(protected.position())
    growing = protected.archived_until()
    protected.run(f"SELECT pg_drop_replication_slot('{SLOT}')")
    while protected.position() - Lsn(growing.position - growing.position % SEGMENT_BYTES) < SEGMENT_BYTES:
        protected.write_wal(0.3)
    protected.run("CHECKPOINT", f"SELECT pg_create_physical_replication_slot('{SLOT}', true)")

    with protected.archiver():
        end = protected.position()
        wait_for("the confirmation", lambda: protected.slot_position() >= end)

    protected.compare(until=end)


def test_a_slot_that_was_given_up_is_a_clear_error_and_the_gap_shows(folder):
    settings = {"max_slot_wal_keep_size": "32MB", "max_wal_size": "64MB", "min_wal_size": "32MB"}
    with EmbeddedPostgres(
        folder / "postgres", bin_dir=pip_postgres_bin(18), settings=settings, durable=False,
        die_with_parent=True,
    ) as server:  # fmt: skip
        protected = Protected(folder, server)
        with protected.archiver():
            protected.write_wal(1)
            protected.wait_until_archived(protected.position())
        before = protected.archived_until()
        protected.write_wal(8)
        protected.run("CHECKPOINT", "SELECT pg_switch_wal()", "CHECKPOINT")
        assert protected.ask("SELECT wal_status FROM pg_replication_slots") == "lost"

        with protected.archiver() as archiver:
            error = archiver.failure()
        assert isinstance(error, WalLostError)
        assert "was given up" in error.message

        with protected.archiver(replace(protected.settings, recreate_slot=True)):
            protected.write_wal(1)
            end = protected.position()
            wait_for("WAL behind the gap", lambda: protected.slot_position() >= end)
        assert protected.archived_until() < before + 32 * 1024**2 < end


def test_a_slot_given_up_for_being_idle_is_seen_and_made_anew_when_told(folder):
    with EmbeddedPostgres(
        folder / "postgres", bin_dir=pip_postgres_bin(18), durable=False, die_with_parent=True,
        settings={**KEEP_WAL, "idle_replication_slot_timeout": "1s"},
    ) as server:  # fmt: skip
        protected = Protected(folder, server)
        with protected.archiver():
            protected.write_wal(0.3)
            protected.wait_until_archived(protected.position())
        time.sleep(1.5)
        protected.run("CHECKPOINT")
        storage = protected.storages["local"]

        with pytest.raises(WalLostError, match="has given up slot"):
            observe_archiving(
                target=TARGET,
                cluster=server.connection(),
                repositories=[Repository("local", storage, Catalog(storage, TARGET, trust=None))],
                slot=SLOT,
                now=utc_now,
            )

        with protected.archiver(replace(protected.settings, recreate_slot=True)):
            protected.write_wal(0.3)
            end = protected.position()
            protected.wait_until_archived(end)
        protected.compare(until=end)


@only18
def test_another_cluster_under_the_same_target_is_refused(folder, protected):
    with protected.archiver():
        protected.write_wal(1)
        protected.wait_until_archived(protected.position())
    with EmbeddedPostgres(
        folder / "second", bin_dir=pip_postgres_bin(18), durable=False, die_with_parent=True
    ) as second:
        other = Protected(folder, second)
        with other.archiver() as archiver:
            error = archiver.failure()

        assert isinstance(error, SourceError)
        assert f"is of cluster {protected.system_id}" in error.message
        assert other.ask("SELECT count(*) FROM pg_replication_slots") == 0
        with other.archiver(replace(other.settings, new_cluster=True)):
            other.write_wal(0.1)
            other.wait_until_archived(other.position())


@only18
def test_a_slot_in_use_names_who_has_it(protected):
    with protected.archiver():
        protected.write_wal(0.1)
        protected.wait_until_archived(protected.position())
        with protected.archiver(
            replace(protected.settings, spool=protected.folder / "b", slot_patience=timedelta(seconds=1))
        ) as second:
            error = second.failure()

    assert isinstance(error, SourceError)
    assert "held by process" in error.message
    assert "backstop_wal" in error.message


@only18
def test_a_segment_that_is_archived_with_other_content_stops_the_archiver(protected):
    with protected.archiver():
        protected.write_wal(0.1)
        protected.wait_until_archived(protected.position())
    growing = next(iter(protected.archive().tails(1))).segment
    key = f"{TARGET}/data/wal/{protected.system_id}/00000001/{growing[:-1]}{int(growing[-1], 16) + 1:X}"
    protected.storages["local"].put_once(f"{key}-{'0' * 16}", b"of somebody else")

    with protected.archiver() as archiver:
        protected.write_wal(3)
        error = archiver.failure()

    assert isinstance(error, IntegrityError)
    assert "archived with other content" in error.message


@also16
def test_with_synchronous_standby_names_a_commit_returns_when_the_repository_has_it(protected):
    settings = replace(protected.settings, synchronous=True)
    with protected.archiver(settings):
        protected.write_wal(0.1)
        wait_for("the receiver", lambda: protected.ask("SELECT count(*) FROM pg_stat_replication"))
        protected.run(
            "ALTER SYSTEM SET synchronous_standby_names = 'backstop_wal'", "SELECT pg_reload_conf()"
        )
        wait_for("sync", lambda: protected.ask("SELECT sync_state FROM pg_stat_replication") == "sync")
        with protected.server.connect() as session:
            for level in ("on", "remote_write", "remote_apply"):
                session.execute(f"SET synchronous_commit = {level}")
                for _ in range(10):
                    session.execute("INSERT INTO filling VALUES ('acknowledged')")
                    (at,) = session.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
                    # The commit record ends before the insert position that we see after it, less padding.
                    assert protected.archived_until() >= Lsn.parse(at) - 64
        began = time.monotonic()
        with protected.server.connect() as session:
            for _ in range(20):
                session.execute("INSERT INTO filling VALUES ('acknowledged')")
        assert time.monotonic() - began < 10
        protected.run("ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")


@only18
def test_the_state_is_written_for_whoever_watches(protected):
    path = protected.folder / "state.json"
    with protected.archiver(replace(protected.settings, status_file=path)) as archiver:
        protected.write_wal(1.5)
        end = protected.position()
        protected.wait_until_archived(end)
        wait_for("the state", lambda: archiver.state.confirmed and archiver.state.confirmed >= end)
        told = json.loads(path.read_text())

    assert told["target"] == TARGET
    assert told["connected"]
    assert told["repositories"]["local"]["standing"] == "working"
    assert Lsn.parse(told["confirmed"]) > Lsn(0)
    assert told["repositories"]["local"]["observed_rpo_seconds"] < 5


@only18
def test_the_slot_is_left_alone_by_one_who_may_not_replicate(protected):
    protected.server.create_role("weak")
    with pytest.raises(SourceError, match="REPLICATION"):
        ReplicationConnection(protected.server.connection("postgres", "weak")).close()
