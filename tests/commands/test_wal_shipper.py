"""What counts as safe, piece by piece, without a server."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from backstop.commands.wal.assembly import SegmentBuffer
from backstop.commands.wal.laggards import leave_silent_behind
from backstop.commands.wal.lane import Standing
from backstop.commands.wal.settings import ArchiveSettings
from backstop.commands.wal.shipper import WalShipper
from backstop.commands.wal.tail import WalTail
from backstop.crypto.keyring import KeyGeneration, LocalKeyring
from backstop.errors import StorageUnavailableError
from backstop.model.lsn import MEBIBYTE, WalSegment
from backstop.repository.wal_archive import WalArchive
from backstop.repository.wal_sealing import prepare_sealing
from backstop.storage.memory import MemoryStorage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIRST = WalSegment(1, 5, MEBIBYTE)


class Gate(MemoryStorage):
    """Stores only while it is open; fails while it is broken."""

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Event()
        self.open.set()
        self.broken = False

    def _pass(self) -> None:
        self.open.wait(20)
        if self.broken:
            raise StorageUnavailableError("broken")

    def put_once(self, key, data):
        self._pass()
        return super().put_once(key, data)

    def upload(self, key, source):
        self._pass()
        return super().upload(key, source)


@pytest.fixture
def storages() -> dict[str, Gate]:
    return {"one": Gate(), "two": Gate()}


@pytest.fixture
def shipper(tmp_path: Path, storages: dict[str, Gate]) -> Iterator[WalShipper]:
    keyring = LocalKeyring(tmp_path / "ring", [KeyGeneration.generate(datetime.now(timezone.utc))])
    prepare_sealing(keyring)
    ended = threading.Event()
    shipper = WalShipper(
        {name: WalArchive(storage, "t", "1") for name, storage in storages.items()},
        keyring=keyring,
        settings=ArchiveSettings(spool=tmp_path),
        ended=ended,
        known={},
    )
    for lane in shipper.lanes:
        lane.begin(FIRST.start)
    yield shipper
    for storage in storages.values():
        storage.open.set()
    ended.set()
    shipper.close()


def whole(shipper: WalShipper, tmp_path: Path, segment: WalSegment) -> None:
    buffer = SegmentBuffer(tmp_path / segment.name, MEBIBYTE, memory=shipper.memory)
    buffer.write(bytes(MEBIBYTE), 0)
    shipper.add_segment(segment, buffer)


def test_only_what_every_working_repository_has_is_confirmed(shipper, storages):
    storages["two"].open.clear()
    shipper.add_delta(FIRST, 0, b"x" * 100)

    assert not shipper.wait_until_stored(FIRST.start + 100, 0.5)
    assert shipper.confirmed() == FIRST.start
    storages["two"].open.set()
    assert shipper.wait_until_stored(FIRST.start + 100, 5)
    assert shipper.confirmed() == FIRST.start + 100


def test_a_segment_that_overtook_another_is_not_confirmed_before_it(shipper, storages, tmp_path):
    whole(shipper, tmp_path, FIRST.next())

    assert not shipper.wait_until_stored(FIRST.end, 0.5)
    assert shipper.confirmed() == FIRST.start
    whole(shipper, tmp_path, FIRST)
    assert shipper.wait_until_stored(FIRST.next().end, 5)


def test_a_repository_that_fails_no_longer_counts(shipper, storages):
    storages["two"].broken = True
    shipper.add_delta(FIRST, 0, b"x" * 100)

    assert shipper.wait_until_stored(FIRST.start + 100, 5)
    assert [lane.standing for lane in shipper.lanes] == [Standing.WORKING, Standing.BEHIND]


def test_pieces_stay_where_the_larger_one_did_not_arrive(shipper, storages, tmp_path, monkeypatch):
    monkeypatch.setattr("backstop.commands.wal.tail._MERGED", 2)
    settings = ArchiveSettings(spool=tmp_path, synchronous=True)
    tail = WalTail(shipper, tmp_path, settings, first=FIRST)
    tail.begin(FIRST)
    try:
        for count in (1, 2, 3):
            storages["two"].broken = count == 3
            tail.write(b"x" * 10, server_end=FIRST.start + 10 * count)
            assert shipper.wait_until_stored(FIRST.start + 10 * count, 5)
        deadline = time.monotonic() + 5
        while len(WalArchive(storages["one"], "t", "1").deltas(FIRST)) > 1:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.3)
        pieces = [len(WalArchive(storage, "t", "1").deltas(FIRST)) for storage in storages.values()]
    finally:
        tail.close()

    assert pieces == [1, 2]


def test_when_none_works_nothing_is_confirmed_and_segments_stay_until_one_returns(
    shipper, storages, tmp_path
):
    for storage in storages.values():
        storage.broken = True
    whole(shipper, tmp_path, FIRST)

    assert not shipper.wait_until_stored(FIRST.end, 0.5)
    assert shipper.confirmed() is None
    assert shipper.spooled_bytes > 0
    storages["one"].broken = False
    lane = shipper.lanes[0]
    shipper.rejoin(lane)
    lane.begin(lane.coverage.end)
    assert shipper.wait_until_stored(FIRST.end, 5)
    assert shipper.spooled_bytes == 0


def test_a_silent_repository_is_left_behind_when_another_answers(shipper, storages):
    storages["two"].open.clear()
    shipper.add_delta(FIRST, 0, b"x" * 100)
    time.sleep(0.3)

    leave_silent_behind(shipper, timedelta(seconds=10))
    assert len(shipper.working) == 2
    leave_silent_behind(shipper, timedelta(seconds=0.1))

    assert [lane.name for lane in shipper.working] == ["one"]
    assert "acknowledged nothing" in str(shipper.lanes[1].error)


def test_wal_of_a_timeline_beyond_the_point_where_it_was_left_counts_for_nothing(shipper):
    shipper.add_delta(FIRST, 0, b"x" * 1000)
    assert shipper.wait_until_stored(FIRST.start + 1000, 5)

    shipper.leave_timeline(1, FIRST.start + 400)
    assert shipper.confirmed() == FIRST.start + 400
    shipper.add_delta(FIRST, 400, b"x" * 5000)
    assert not shipper.wait_until_stored(FIRST.start + 401, 0.5)

    shipper.add_delta(WalSegment(2, 5, MEBIBYTE), 0, b"y" * 700)
    assert shipper.wait_until_stored(FIRST.start + 700, 5)
    assert shipper.confirmed() == FIRST.start + 700
