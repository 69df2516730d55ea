"""The follower reads what pg_dump writes, whole, while it is being written."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from backstop.errors import SourceError
from backstop.postgres.dump_directory import DumpFollower

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1024 * 1024


def read_all(follower: DumpFollower, name: str, into: dict[str, bytes]) -> None:
    for file in follower.files():
        with follower.open(file) as stream:
            parts = []
            while piece := stream.read(MIB):
                parts.append(piece)
        into[file.name] = b"".join(parts)


def test_a_file_that_grows_slowly_is_read_whole_and_only_once(tmp_path: Path):
    content = bytes(range(256)) * 4096 * 40
    read: dict[str, bytes] = {}
    with DumpFollower(tmp_path) as follower:
        readers = [threading.Thread(target=read_all, args=(follower, "", read)) for _ in range(2)]
        for reader in readers:
            reader.start()
        with (tmp_path / "1.dat").open("wb") as big:
            for start in range(0, len(content), 3 * MIB):
                big.write(content[start : start + 3 * MIB])
                big.flush()
                time.sleep(0.005)
        for number in range(2, 200):
            (tmp_path / f"{number}.dat").write_bytes(b"%d" % number)
        (tmp_path / "toc.dat").write_bytes(b"toc")
        follower.finish()
        for reader in readers:
            reader.join(20)

    assert read.pop("1.dat") == content
    assert read == {f"{number}.dat": b"%d" % number for number in range(2, 200)}


def test_what_was_read_of_a_large_file_gives_its_space_back(tmp_path: Path):
    path = tmp_path / "1.dat"
    with DumpFollower(tmp_path) as follower:
        path.write_bytes(b"x" * 64 * MIB)
        (file,) = [next(follower.files())]
        with follower.open(file) as stream:
            while stream.read(MIB):
                pass
            held_bytes = path.stat().st_blocks * 512
        follower.finish()

    assert held_bytes < 20 * MIB


def test_a_reader_waiting_for_more_gets_an_error_when_the_dump_is_given_up(tmp_path: Path):
    with DumpFollower(tmp_path) as follower, (tmp_path / "1.dat").open("wb") as big:
        big.write(b"x" * 2 * MIB)
        big.flush()
        file = next(follower.files())
        stream = follower.open(file)
        assert len(stream.read(2 * MIB)) == 2 * MIB
        threading.Timer(0.1, follower.abort).start()

        with pytest.raises(SourceError, match="given up"):
            stream.read(1)
        stream.close()


def test_files_are_found_even_when_the_kernel_dropped_the_events(tmp_path: Path):
    follower = DumpFollower(tmp_path)
    (tmp_path / "7.dat").write_bytes(b"seven")
    # The watching thread never starts, as if every event had been lost.
    follower.finish()

    assert [file.name for file in follower.files()] == ["7.dat"]
