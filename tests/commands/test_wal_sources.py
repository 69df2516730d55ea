"""Where a recovery's WAL comes from: what is asked of an archive, and what never slips through."""

from __future__ import annotations

import io
import random
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest

from backstop.commands.wal.sources import ArchivedWal
from backstop.crypto.keyring import KeyGeneration, LocalKeyring
from backstop.errors import IntegrityError, ObjectMissingError
from backstop.model.lsn import MEBIBYTE, WalSegment
from backstop.repository.wal_archive import WalArchive
from backstop.repository.wal_sealing import seal_segment
from backstop.storage.memory import MemoryStorage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from backstop.storage.base import ObjectInfo

FIRST = WalSegment(1, 5, MEBIBYTE)


class Counting(MemoryStorage):
    """Counts how often it is listed."""

    def __init__(self) -> None:
        super().__init__()
        self.listings = 0

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        self.listings += 1
        return super().list(prefix)


@pytest.fixture
def storage() -> Counting:
    return Counting()


@pytest.fixture
def source(storage: Counting, tmp_path: Path) -> ArchivedWal:
    keyring = LocalKeyring(tmp_path / "keyring.json", [KeyGeneration.generate(datetime.now(timezone.utc))])
    return ArchivedWal(WalArchive(storage, "calibrify", "7437297352034519234"), keyring)


def put(source: ArchivedWal, segment: WalSegment, folder: Path, *, seed: int = 1) -> bytes:
    data = random.Random(seed).randbytes(segment.size_bytes)
    names = source.archive.names
    source.archive.put(
        seal_segment(names, segment, io.BytesIO(data), folder / f"{segment}-{seed}", keyring=source.keyring)
    )
    return data


def test_segments_in_a_row_are_found_by_one_listing(source: ArchivedWal, storage: Counting, tmp_path: Path):
    segments = [FIRST, FIRST.next(), FIRST.next().next()]
    stored = [put(source, segment, tmp_path, seed=segment.number) for segment in segments]
    storage.listings = 0

    for segment, data in zip(segments, stored, strict=True):
        source.fetch_segment(segment, tmp_path / "fetched")
        assert (tmp_path / "fetched").read_bytes() == data
    assert storage.listings == 1


def test_a_segment_that_arrives_after_the_listing_is_found(source: ArchivedWal, tmp_path: Path):
    put(source, FIRST, tmp_path)
    source.fetch_segment(FIRST, tmp_path / "fetched")
    with pytest.raises(ObjectMissingError):
        source.fetch_segment(FIRST.next(), tmp_path / "fetched")

    later = put(source, FIRST.next(), tmp_path, seed=2)

    source.fetch_segment(FIRST.next(), tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == later


def test_a_segment_with_two_contents_is_never_fetched(source: ArchivedWal, tmp_path: Path):
    put(source, FIRST, tmp_path, seed=1)
    put(source, FIRST, tmp_path, seed=2)

    with pytest.raises(IntegrityError, match="two contents"):
        source.fetch_segment(FIRST, tmp_path / "fetched")
    assert not (tmp_path / "fetched").exists()
