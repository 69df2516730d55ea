"""What is said about the loss is never too little, whatever the clocks and the repositories do."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest

from backstop.commands.wal.start import Start
from backstop.commands.wal.state import WrittenAt
from backstop.commands.wal.watch import ArchivingSeen, lag_of
from backstop.commands.wal.work import WalWork
from backstop.errors import StorageUnavailableError, WalLostError
from backstop.model.lsn import MEBIBYTE, Lsn, WalSegment
from backstop.model.timeline import ancestry, parse_history
from backstop.postgres.replication import ClusterIdentity
from backstop.repository.wal_archive import WalArchive
from backstop.storage.memory import MemoryStorage

NOON = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


def test_a_server_clock_that_is_set_back_does_not_hide_what_is_not_stored():
    written = WrittenAt()
    written.note(Lsn(100), NOON)
    written.note(Lsn(200), NOON - HOUR)
    written.note(Lsn(300), NOON - HOUR + timedelta(seconds=10))

    assert written.age(Lsn(200), NOON - HOUR + timedelta(seconds=30)) == timedelta(seconds=20)
    assert written.age(Lsn(100), NOON - HOUR + timedelta(seconds=30)) >= timedelta(seconds=20)


def test_what_a_timeline_that_was_left_had_is_not_waited_for():
    written = WrittenAt()
    written.note(Lsn(100), NOON)
    written.note(Lsn(900), NOON + HOUR)

    written.cut(Lsn(200))
    later = NOON + 2 * HOUR

    assert written.age(Lsn(200), later) == timedelta(0)
    assert written.age(Lsn(150), later) == HOUR
    # Of what the server goes on with, some may be what was there before.
    written.note(Lsn(250), later)
    assert written.age(Lsn(200), later) == HOUR
    assert written.age(Lsn(250), later) == timedelta(0)


def test_wal_behind_a_gap_does_not_make_a_repository_look_fresh():
    at = [NOON]
    archive = WalArchive(MemoryStorage(clock=lambda: at[0]), "t", "1")
    first = WalSegment(1, 5, MEBIBYTE)
    archive.storage.put_once(archive.names.segment(first, "a" * 64), b"-")
    at[0] = NOON + HOUR
    growing = first.next().next()
    archive.storage.put_once(archive.names.delta(growing, 0, 100, "b" * 64), b"-")

    lag = lag_of(
        archive,
        ClusterIdentity("1", 1, growing.start + 100, MEBIBYTE),
        ancestry(parse_history(1, b"")),
        first.start,
        at[0],
    )

    assert lag.position == first.end
    assert lag.observed_rpo == HOUR


def test_a_repository_that_the_slot_was_moved_on_without_is_not_said_to_have_all():
    at = [NOON]
    archive = WalArchive(MemoryStorage(clock=lambda: at[0]), "t", "1")
    old = WalSegment(1, 5, MEBIBYTE)
    archive.storage.put_once(archive.names.segment(old, "a" * 64), b"-")
    slot = WalSegment(1, 9, MEBIBYTE).start

    lag = lag_of(
        archive, ClusterIdentity("1", 1, slot, MEBIBYTE), ancestry(parse_history(1, b"")), slot, NOON + HOUR
    )
    seen = ArchivingSeen(NOON + HOUR, 1, slot, 0, {"far": lag})

    assert not lag.reaches
    assert lag.observed_rpo == HOUR
    assert seen.sentences()[1:] == ["far lacks WAL that the slot keeps no longer: at most 3600 s lost"]
    assert "far lacks WAL" in seen.beyond(timedelta(minutes=1))[0]


def test_wal_that_a_silent_repository_may_hold_is_not_called_lost_for_good():
    segment = WalSegment(1, 5, MEBIBYTE)
    silent = {"far": StorageUnavailableError("no answer")}
    start = Start(segment, segment, {"near": segment.start}, silent, {}, lost="WAL after X is not archived")

    with pytest.raises(WalLostError, match="that answers") as caught:
        WalWork.go_on_after_gap(SimpleNamespace(_start=start))  # type: ignore[arg-type]

    assert "far did not answer" in caught.value.hint
