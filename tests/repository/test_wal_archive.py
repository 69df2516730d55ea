"""WAL in a repository: what is put is read back, what differs is named, and names alone tell the position."""

from __future__ import annotations

import io
import random
import uuid
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest

from backstop.crypto.keyring import KeyGeneration, LocalKeyring
from backstop.errors import IntegrityError, ObjectMissingError, StorageError
from backstop.model.lsn import MEBIBYTE, WalSegment
from backstop.repository.wal_archive import WalArchive, archived_position
from backstop.repository.wal_sealing import seal_delta, seal_history, seal_segment
from backstop.storage.memory import MemoryStorage
from backstop.storage.posix import PosixStorage
from tests.protection import s3_corner

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.storage.base import Storage

SYSTEM = "7437297352034519234"
FIRST = WalSegment(1, 5, MEBIBYTE)


@pytest.fixture(scope="module")
def keyring(tmp_path_factory) -> LocalKeyring:
    path = tmp_path_factory.mktemp("keys") / "keyring.json"
    return LocalKeyring(path, [KeyGeneration.generate(datetime.now(timezone.utc))])


@pytest.fixture(params=["memory", "posix", pytest.param("s3", marks=pytest.mark.integration)])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> WalArchive:
    storages = {
        "memory": MemoryStorage,
        "posix": lambda: PosixStorage(tmp_path / "repository"),
        "s3": lambda: s3_corner(request.getfixturevalue("seaweedfs")),
    }
    storage: Storage = storages[request.param]()
    return WalArchive(storage, "calibrify", SYSTEM)


@pytest.fixture
def put(archive, tmp_path, keyring):
    """Stores a segment with the given bytes, by default some of its own; returns them."""

    def put(segment: WalSegment, data: bytes | None = None) -> bytes:
        data = content(segment) if data is None else data
        sealed = seal_segment(
            archive.names, segment, io.BytesIO(data), tmp_path / uuid.uuid4().hex, keyring=keyring
        )
        archive.put(sealed)
        return data

    return put


@pytest.fixture
def put_delta(archive, keyring):
    def put(segment: WalSegment, offset: int, length: int, data: bytes | None = None) -> None:
        piece = content(segment)[offset : offset + length] if data is None else data
        sealed = seal_delta(archive.names, segment, offset_bytes=offset, data=piece, keyring=keyring)
        archive.put(sealed)

    return put


def content(segment: WalSegment) -> bytes:
    return random.Random(segment.name).randbytes(segment.size_bytes)


def position(archive: WalArchive, start=FIRST.start):
    return archived_position(archive, timeline=1, segment_bytes=MEBIBYTE, start=start)


def test_a_segment_comes_back_as_it_was(archive, put, keyring, tmp_path):
    data = put(FIRST)

    archive.fetch_segment(FIRST, tmp_path / "fetched", keyring=keyring)

    assert (tmp_path / "fetched").read_bytes() == data


def test_the_same_segment_from_a_second_writer_is_success_and_stored_once(archive, put):
    put(FIRST)
    put(FIRST)

    assert len(list(archive.segments(1))) == 1


def test_a_segment_with_two_contents_is_named_and_neither_is_read(archive, put, keyring, tmp_path):
    put(FIRST)
    put(FIRST, bytes(MEBIBYTE))

    with pytest.raises(IntegrityError, match=f"WAL segment {FIRST} is in .* with two contents"):
        archive.fetch_segment(FIRST, tmp_path / "fetched", keyring=keyring)
    with pytest.raises(IntegrityError, match="two contents"):
        position(archive)
    assert not (tmp_path / "fetched").exists()


def test_a_segment_under_the_name_of_another_content_is_refused(archive, put, keyring, tmp_path):
    put(FIRST)
    (stored,) = archive.segments(1)
    ciphertext = archive.storage.read(stored.key)
    archive.storage.delete(stored.key)
    archive.storage.put_once(stored.key[:-16] + "0" * 16, ciphertext)

    with pytest.raises(IntegrityError, match="other content than its name says"):
        archive.fetch_segment(FIRST, tmp_path / "fetched", keyring=keyring)
    assert list(tmp_path.glob("*fetched*")) == []


def test_a_segment_under_the_name_of_another_segment_is_refused(archive, put, keyring, tmp_path):
    put(FIRST)
    (stored,) = archive.segments(1)
    archive.storage.put_once(
        stored.key.replace(FIRST.name, FIRST.next().name), archive.storage.read(stored.key)
    )

    with pytest.raises(IntegrityError, match="was written for another object"):
        archive.fetch_segment(FIRST.next(), tmp_path / "fetched", keyring=keyring)


def test_a_segment_of_another_size_is_never_stored(archive, put):
    with pytest.raises(ValueError, match="5 bytes instead of 1048576"):
        put(FIRST, b"short")


def test_an_absent_segment_is_said_to_be_missing(archive, put, keyring, tmp_path):
    put(FIRST)

    with pytest.raises(ObjectMissingError, match=f"{FIRST.next()} is not in"):
        archive.fetch_segment(FIRST.next(), tmp_path / "fetched", keyring=keyring)


def test_histories_come_back_even_when_timelines_are_skipped(archive, keyring):
    for timeline in (2, 5):
        archive.put(seal_history(archive.names, timeline, b"1\t0/3000000\tpromoted\n", keyring=keyring))

    assert [history.timeline for history in archive.histories()] == [2, 5]
    assert archive.read_history(5, keyring=keyring) == b"1\t0/3000000\tpromoted\n"
    with pytest.raises(ObjectMissingError, match=r"00000003\.history"):
        archive.read_history(3, keyring=keyring)


def test_a_history_with_two_contents_is_named(archive, keyring):
    for text in (b"1\t0/3000000\tone\n", b"1\t0/4000000\tother\n"):
        archive.put(seal_history(archive.names, 2, text, keyring=keyring))

    with pytest.raises(IntegrityError, match=r"00000002\.history is in .* with two contents"):
        archive.read_history(2, keyring=keyring)


def test_the_tail_is_what_the_pieces_hold_without_a_gap_though_they_overlap(archive, put_delta, keyring):
    for offset, length in [(0, 100), (100, 50), (0, 120), (120, 80), (300, 10)]:
        put_delta(FIRST, offset, length)

    assert archive.read_tail(FIRST, keyring=keyring) == content(FIRST)[:200]


def test_pieces_that_differ_where_they_overlap_are_named(archive, put_delta, keyring):
    put_delta(FIRST, 0, 100)
    put_delta(FIRST, 50, 100, bytes(100))

    with pytest.raises(IntegrityError, match="differs from the pieces of the tail before it"):
        archive.read_tail(FIRST, keyring=keyring)


def test_two_contents_of_one_piece_are_named(archive, put_delta, keyring):
    put_delta(FIRST, 0, 100)
    put_delta(FIRST, 0, 100, bytes(100))

    with pytest.raises(IntegrityError, match=f"tail of WAL segment {FIRST} is in .* with two contents"):
        archive.read_tail(FIRST, keyring=keyring)


def test_a_piece_moved_to_another_offset_is_refused(archive, put_delta, keyring):
    put_delta(FIRST, 100, 50)
    (delta,) = archive.deltas(FIRST)
    archive.storage.put_once(delta.key.replace("00000064-", "00000000-"), archive.storage.read(delta.key))

    with pytest.raises(IntegrityError, match="was written for another object"):
        archive.read_tail(FIRST, keyring=keyring)


def test_the_position_is_the_end_of_whole_segments_and_the_tail_after_them(archive, put, put_delta):
    put(FIRST)
    put(FIRST.next())
    put_delta(FIRST.next().next(), 0, 1000)
    put(FIRST.next().next().next())

    assert position(archive) == FIRST.next().end + 1000
    assert position(archive, FIRST.start + 17) == FIRST.next().end + 1000


def test_the_position_is_the_start_where_nothing_follows_it(archive, put_delta):
    put_delta(FIRST, 0, 1000)

    assert position(archive, FIRST.start + 5000) == FIRST.start + 5000
    assert position(archive, FIRST.next().start) == FIRST.next().start


def test_the_position_crosses_from_one_log_to_the_next(archive, put):
    last_of_log = WalSegment(1, 4095, MEBIBYTE)
    put(last_of_log)
    put(last_of_log.next())

    assert position(archive, last_of_log.start) == last_of_log.next().end


def test_another_cluster_is_noticed_where_ours_has_no_wal_yet(archive, put):
    other = WalArchive(archive.storage, "calibrify", "6000000000000000001")
    assert other.other_system() is None

    put(FIRST)

    assert other.other_system() == SYSTEM
    assert archive.other_system() is None


def test_a_name_that_may_be_listed_but_not_compared_is_success(put, archive, monkeypatch):
    put(FIRST)

    def refuse(*_: object) -> None:
        raise StorageError("not allowed to look")

    monkeypatch.setattr(archive.storage, "upload", refuse)
    put(FIRST)

    with pytest.raises(StorageError, match="not allowed to look"):
        put(FIRST.next())


def test_strange_names_are_no_wal(archive, put):
    put(FIRST)
    for name in ("README", f"{FIRST.next()}-xyz", f"{WalSegment(2, 5, MEBIBYTE)}-{'0' * 16}"):
        archive.storage.put_once(f"calibrify/data/wal/{SYSTEM}/00000001/{name}", b"?")
    archive.storage.put_once(f"calibrify/tail/{SYSTEM}/00000001/{FIRST}/x", b"?")

    assert [stored.segment for stored in archive.segments(1)] == [FIRST.name]
    assert archive.deltas(FIRST) == ()
