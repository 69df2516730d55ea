"""The replication protocol against real servers: slots, WAL with feedback, and every way it ends."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from backstop.errors import (
    ConfigurationError,
    SourceBusyError,
    SourceError,
    SourceUnavailableError,
    WalLostError,
)
from backstop.model.lsn import Lsn
from backstop.postgres import wal_stream
from backstop.postgres.base_backup_stream import BackupEnded
from backstop.postgres.replication import ReplicationConnection
from backstop.postgres.wal_stream import Keepalive, TimelineEnded, WalData
from tests.physical import BaseBackups, server_of
from tests.protection import protect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backstop.postgres.wal_stream import WalStream
    from embedded.postgres import EmbeddedPostgres

pytestmark = pytest.mark.integration


@pytest.fixture
def connection(server: EmbeddedPostgres) -> Iterator[ReplicationConnection]:
    with ReplicationConnection(server.connection()) as connection:
        for name in ("one", "two"):
            connection.drop_slot(name)
        yield connection
    give_up = time.monotonic() + 60
    with ReplicationConnection(server.connection()) as again:
        for name in ("one", "two"):
            # The server may not have noticed yet that a receiver has gone.
            while not _dropped(again, name):
                assert time.monotonic() < give_up


def _dropped(connection: ReplicationConnection, slot: str) -> bool:
    try:
        connection.drop_slot(slot)
    except SourceBusyError:
        return False
    return True


@pytest.fixture
def own_server(folder: Path) -> Iterator[EmbeddedPostgres]:
    with server_of(folder / "server", 18, wal_keep_size="0", wal_level="replica") as server:
        yield server


def write_wal(server: EmbeddedPostgres, *, switch: bool = False) -> None:
    with server.connect() as session:
        session.execute("SELECT pg_logical_emit_message(false, 'test', repeat('x', 100000))")
        session.execute("CREATE TABLE IF NOT EXISTS wal_writer ()")
        session.execute("DROP TABLE wal_writer")
        if switch:
            session.execute("SELECT pg_switch_wal()")


def current_lsn(server: EmbeddedPostgres) -> Lsn:
    with server.connect() as session:
        row = session.execute("SELECT pg_current_wal_flush_lsn()::text").fetchone()
    assert row is not None
    return Lsn.parse(row[0])


def read_until(stream: WalStream, end: Lsn) -> bytes:
    """Everything up to that position."""
    found = bytearray()
    deadline = time.monotonic() + 20
    while stream.received < end:
        assert time.monotonic() < deadline
        message = stream.receive(1)
        if isinstance(message, WalData):
            found += message.data
    return bytes(found)


def receive_for_ever(stream: WalStream, *, confirm: bool = False) -> None:
    while True:
        stream.receive(1)
        if confirm:
            stream.confirm(stream.received)


def test_a_server_says_which_cluster_it_is(server: EmbeddedPostgres, connection: ReplicationConnection):
    identity = connection.identify()
    with server.connect() as session:
        row = session.execute(
            "SELECT system_identifier::text, current_setting('server_version_num')::integer"
            " FROM pg_control_system()"
        ).fetchone()
    assert (identity.system_id, connection.server_version) == row
    assert identity.timeline == 1
    assert identity.segment_bytes == 16 * 1024 * 1024
    assert identity.flush_lsn <= current_lsn(server)
    assert connection.timeline_history(1) == b""


def test_a_slot_keeps_wal_from_its_creation_until_it_is_dropped(connection: ReplicationConnection):
    assert connection.slot("one") is None
    made = connection.create_slot("one")
    assert made.restart_lsn is not None
    assert not made.lost
    assert connection.slot("one") == made
    with pytest.raises(SourceError, match='slot "one" already exists'):
        connection.create_slot("one")
    connection.drop_slot("one")
    connection.drop_slot("one")
    assert connection.slot("one") is None


def test_the_stream_is_the_servers_own_wal_byte_by_byte(
    server: EmbeddedPostgres, connection: ReplicationConnection
):
    slot = connection.create_slot("one")
    write_wal(server)
    end = current_lsn(server)
    assert slot.restart_lsn is not None
    stream = connection.stream(slot="one", start=slot.restart_lsn, timeline=1)
    found = read_until(stream, end)
    stream.end()

    with ReplicationConnection(server.connection()) as other:
        again = other.stream(start=slot.restart_lsn, timeline=1)
        assert read_until(again, end)[: end - slot.restart_lsn] == found[: end - slot.restart_lsn]
    assert b"x" * 1000 in found
    # Ended in good order, so that the connection serves for other things.
    assert connection.identify().timeline == 1


def test_the_server_removes_only_what_was_confirmed(
    server: EmbeddedPostgres, connection: ReplicationConnection
):
    slot = connection.create_slot("one")
    write_wal(server)
    end = current_lsn(server)
    assert slot.restart_lsn is not None
    stream = connection.stream(slot="one", start=slot.restart_lsn, timeline=1)
    read_until(stream, end)
    with ReplicationConnection(server.connection()) as observer:
        assert observer.slot("one") == slot

        stream.confirm(end)
        stream.receive(0.2)
        moved = wait_for_slot(observer, end)
        assert moved == end

        # Never back: the server would then believe that it has to keep WAL that it removed.
        stream.confirm(slot.restart_lsn)
        stream.receive(0.2)
        stream.end()
        assert observer.slot("one").restart_lsn == end


def wait_for_slot(observer: ReplicationConnection, lsn: Lsn) -> Lsn | None:
    deadline = time.monotonic() + 5
    while (state := observer.slot("one")) is not None and state.restart_lsn != lsn:
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return state.restart_lsn if state else None


def test_a_confirmation_from_another_thread_goes_out_at_once(
    server: EmbeddedPostgres, connection: ReplicationConnection
):
    connection.create_slot("one")
    start = current_lsn(server)
    stream = connection.stream(slot="one", start=start, timeline=1)
    stop = threading.Event()

    def receive() -> None:
        while not stop.is_set():
            stream.receive(5)

    receiver = threading.Thread(target=receive)
    receiver.start()
    try:
        time.sleep(0.3)
        with ReplicationConnection(server.connection()) as observer:
            write_wal(server)
            end = current_lsn(server)
            began = time.monotonic()
            stream.confirm(end)
            assert wait_for_slot(observer, end) == end
            # Not at the next regular report, seconds later.
            assert time.monotonic() - began < wal_stream.STATUS_SECONDS / 2
    finally:
        stop.set()
        stream.confirm(end)
        receiver.join()


def test_a_slot_serves_one_receiver_at_a_time(server: EmbeddedPostgres, connection: ReplicationConnection):
    slot = connection.create_slot("one")
    assert slot.restart_lsn is not None
    connection.stream(slot="one", start=slot.restart_lsn, timeline=1)
    with (
        ReplicationConnection(server.connection()) as other,
        pytest.raises(SourceBusyError, match='slot "one" is active') as refused,
    ):
        other.stream(slot="one", start=slot.restart_lsn, timeline=1)
    assert refused.value.retryable


def test_a_missing_slot_is_lost_wal(connection: ReplicationConnection):
    with pytest.raises(WalLostError, match="has no slot one") as lost:
        connection.stream(slot="one", start=Lsn(0x1000000), timeline=1)
    assert "take a new base backup" in lost.value.hint
    assert not lost.value.retryable


def test_a_slot_that_the_server_gave_up_is_lost_wal(own_server: EmbeddedPostgres):
    with own_server.connect() as session:
        session.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
        session.execute("ALTER SYSTEM SET min_wal_size = '32MB'")
        session.execute("SELECT pg_reload_conf()")
    with ReplicationConnection(own_server.connection()) as connection:
        slot = connection.create_slot("one")
        for _ in range(4):
            write_wal(own_server, switch=True)
        with own_server.connect() as session:
            session.execute("CHECKPOINT")
        state = connection.slot("one")
        assert state is not None
        assert state.lost
        assert slot.restart_lsn is not None
        with pytest.raises(WalLostError, match="gave up slot one") as lost:
            connection.stream(slot="one", start=slot.restart_lsn, timeline=1)
        assert "take a new base backup" in lost.value.hint
        # Without a slot too, it is the WAL that is gone.
        stream = connection.stream(start=Lsn(0x1000000), timeline=1)
        with pytest.raises(WalLostError, match="has already been removed"):
            receive_for_ever(stream)
        assert connection.identify().timeline == 1


def test_a_server_that_shuts_down_waits_for_no_confirmation_that_came(own_server: EmbeddedPostgres):
    with ReplicationConnection(own_server.connection()) as connection:
        slot = connection.create_slot("one")
        assert slot.restart_lsn is not None
        stream = connection.stream(slot="one", start=slot.restart_lsn, timeline=1)
        stopper = threading.Thread(target=own_server.stop)
        stopper.start()
        with pytest.raises(SourceUnavailableError, match="shutting down") as ended:
            receive_for_ever(stream, confirm=True)
        stopper.join()
    assert ended.value.retryable


def test_a_server_that_dies_is_unavailable(own_server: EmbeddedPostgres):
    with ReplicationConnection(own_server.connection()) as connection:
        stream = connection.stream(start=Lsn(0x1000000), timeline=1)
        while stream.receive(0.5) is not None:
            pass
        with own_server.connect() as session:
            session.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
        with pytest.raises(SourceUnavailableError) as ended:
            receive_for_ever(stream)
    assert ended.value.retryable


def test_the_next_timeline_is_told_when_a_standby_was_promoted(folder: Path, own_server: EmbeddedPostgres):
    base = BaseBackups(protect(folder, own_server.connection()), own_server)
    (folder / "copy").mkdir(mode=0o711)
    base.lay_out(base.take().label, folder / "copy" / "data")
    with base.start(folder / "copy" / "data") as promoted:
        # It answers as a standby, too, shortly before it is promoted.
        with promoted.connect() as session:
            while session.execute("SELECT pg_is_in_recovery()").fetchone() == (True,):
                time.sleep(0.05)
        with ReplicationConnection(promoted.connection()) as connection:
            identity = connection.identify()
            assert identity.timeline == 2
            history = connection.timeline_history(2)
            switched_at = Lsn.parse(history.decode().split("\t")[1])
            stream = connection.stream(start=Lsn(switched_at.position & ~0xFFFFFF), timeline=1)
            found = []
            while not isinstance(message := stream.receive(1), TimelineEnded):
                found.append(message)
            assert message == TimelineEnded(timeline=1, next_timeline=2, switched_at=switched_at)
            assert stream.received == switched_at
            assert stream.receive(1) == message

            # The same where nothing is left of it.
            at_once = connection.stream(start=switched_at, timeline=1)
            assert at_once.receive(1) == message
            at_once.end()
            following = connection.stream(start=Lsn(switched_at.position & ~0xFFFFFF), timeline=2)
            assert isinstance(following.receive(5), WalData)


def test_a_stop_is_honoured_at_once(server: EmbeddedPostgres):
    stop = threading.Event()
    with ReplicationConnection(server.connection(), stop=stop) as connection:
        stream = connection.stream(start=current_lsn(server), timeline=1)
        threading.Timer(0.3, stop.set).start()
        while (message := stream.receive(30)) is not None:
            assert isinstance(message, (Keepalive, WalData))
        began = time.monotonic()
        assert stream.receive(30) is None
        assert time.monotonic() - began < 10


def test_an_idle_server_says_every_second_how_far_it_is(server: EmbeddedPostgres):
    with ReplicationConnection(server.connection()) as connection:
        stream = connection.stream(start=current_lsn(server), timeline=1)
        until = time.monotonic() + 3.5
        answers = 0
        while time.monotonic() < until:
            answers += isinstance(stream.receive(0.2), Keepalive)

    assert answers >= 2


def test_a_silent_server_is_asked_and_then_given_up(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
):
    with ReplicationConnection(server.connection()) as connection:
        stream = connection.stream(start=current_lsn(server), timeline=1)
        monkeypatch.setattr(wal_stream, "SILENCE_SECONDS", 0.5)
        monkeypatch.setattr(wal_stream, "ASK_SECONDS", 0.1)
        answers = 0
        until = time.monotonic() + 2
        while time.monotonic() < until:
            answers += isinstance(stream.receive(0.3), Keepalive)
        # It lives and answers, so it is never given up.
        assert answers >= 1

        monkeypatch.setattr(stream._wire, "receive", lambda timeout_seconds: time.sleep(timeout_seconds))
        with pytest.raises(SourceUnavailableError, match="has been silent"):
            receive_for_ever(stream)


def test_a_wrong_password_is_refused_without_being_shown(server: EmbeddedPostgres):
    wrong = replace(server.connection(), password="not-the-password")
    with pytest.raises(SourceError) as refused:
        ReplicationConnection(wrong)
    assert not isinstance(refused.value, SourceUnavailableError)
    assert "not-the-password" not in f"{refused.value} {refused.value!r} {wrong!r}"


@pytest.mark.parametrize("name", ["", "With Space", "UPPER", 'quo"te', "x" * 64])
def test_a_name_that_is_none_for_a_slot_reaches_no_server(connection: ReplicationConnection, name: str):
    with pytest.raises(ConfigurationError, match="is not a slot name"):
        connection.create_slot(name)


def test_a_base_backup_does_not_wait_for_the_servers_own_archive(folder: Path):
    stop = threading.Event()
    timer = threading.Timer(20.0, stop.set)
    with (
        server_of(folder / "server", 16, archive_mode="on", archive_command="/bin/false") as server,
        ReplicationConnection(server.connection(), stop=stop) as connection,
    ):
        timer.start()
        *_, last = connection.base_backup(label="test")
        timer.cancel()
    assert isinstance(last, BackupEnded)
