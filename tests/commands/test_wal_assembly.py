"""A segment on its way out: in memory while there is room, in the spool beyond, with the same bytes."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest

from backstop.commands.wal.assembly import Memory, SegmentBuffer, let_go, seal
from backstop.crypto.keyring import KeyGeneration, LocalKeyring
from backstop.errors import KeyUnavailableError
from backstop.model.lsn import WalSegment
from backstop.repository.wal_archive import WalArchive
from backstop.storage.memory import MemoryStorage

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1024 * 1024
SEGMENT = WalSegment(1, 7, 2 * MIB)


@pytest.fixture
def keyring(tmp_path: Path) -> LocalKeyring:
    return LocalKeyring(tmp_path / "ring", [KeyGeneration.generate(datetime.now(timezone.utc))])


def buffers(folder: Path, memory: Memory, count: int, size_bytes: int = 2 * MIB) -> list[SegmentBuffer]:
    start = len(list(folder.iterdir())) + 100
    return [SegmentBuffer(folder / f"{start + n}", size_bytes, memory=memory) for n in range(count)]


def test_only_so_many_segments_are_in_memory_and_the_rest_in_files(tmp_path: Path):
    memory = Memory()

    made = buffers(tmp_path, memory, 6)

    assert sum(buffer.path.exists() for buffer in made) == 2
    content = os.urandom(2 * MIB)
    for buffer in made:
        buffer.write(content[:100], 0)
        buffer.write(content[100:], 100)
        assert buffer.read(50, 100) == content[50:150]
        source = buffer.source()
        assert b"".join(source.read(700_000) for _ in range(4)) == content


def test_room_that_was_given_back_is_used_again(tmp_path: Path):
    memory = Memory()
    for buffer in buffers(tmp_path, memory, 6):
        buffer.discard()
        buffer.discard()

    assert list(tmp_path.iterdir()) == []
    assert not any(buffer.path.exists() for buffer in buffers(tmp_path, memory, 4))


def test_large_segments_are_never_in_memory(tmp_path: Path):
    assert buffers(tmp_path, Memory(), 1, 64 * MIB)[0].path.exists()


def test_ciphertext_beyond_the_room_goes_to_files_and_room_comes_back(tmp_path: Path, keyring: LocalKeyring):
    memory, names = Memory(), WalArchive(MemoryStorage(), "t", "1").names
    content = os.urandom(2 * MIB)
    sealed = []
    for _ in range(30):
        [buffer] = buffers(tmp_path, memory, 1)
        buffer.write(content, 0)
        sealed.append(seal(names, SEGMENT, buffer, keyring=keyring, memory=memory))
        buffer.discard()

    in_memory = [one for one in sealed if isinstance(one.body, bytes)]
    assert 40 * MIB < sum(one.stored_bytes for one in in_memory) <= 48 * MIB
    assert len(sealed) > len(in_memory)

    archive = WalArchive(MemoryStorage(), "t", "1")
    for one in (sealed[0], sealed[-1]):
        archive.storage = MemoryStorage()
        assert archive.put(one) is not None
        assert archive.put(one) is None
        archive.fetch_segment(SEGMENT, tmp_path / "fetched", keyring=keyring)
        assert (tmp_path / "fetched").read_bytes() == content

    for one in sealed:
        let_go(one, memory=memory)
    assert list(tmp_path.glob("*.sealed")) == []
    assert memory.take_sealed(16 * MIB)
    assert memory.take_sealed(16 * MIB)
    assert memory.take_sealed(16 * MIB)
    assert not memory.take_sealed(1)


def test_what_could_not_be_sealed_takes_no_room(tmp_path: Path):
    class Unreachable:
        def encryption_keys(self):
            return ()

    memory, names = Memory(), WalArchive(MemoryStorage(), "t", "1").names
    [buffer] = buffers(tmp_path, memory, 1)
    for _ in range(30):
        with pytest.raises(KeyUnavailableError):
            seal(names, SEGMENT, buffer, keyring=Unreachable(), memory=memory)

    assert memory.take_sealed(16 * MIB)
