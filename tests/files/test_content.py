"""Files read in pieces while others write to them."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from backstop.files import content
from backstop.files.content import PIECE_BYTES, Content, read_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MB = 1024 * 1024


class Pieces(dict[str, bytes]):
    """Takes pieces; :param then: called after each."""

    then: Callable[[], object] = staticmethod(lambda: None)

    def store(self, sha256: str, piece: bytes) -> str:
        assert hashlib.sha256(piece).hexdigest() == sha256
        self[sha256] = piece
        self.then()
        return "pack-1"

    def content(self, found: Content) -> bytes:
        content = bytearray(found.size_bytes)
        for chunk in found.chunks:
            content[chunk.offset : chunk.offset + chunk.size_bytes] = self[chunk.sha256]
        return bytes(content)


def read(path: Path, pieces: Pieces, **options: object) -> Content:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return read_file(descriptor, pieces.store, **options)  # type: ignore[arg-type]
    finally:
        os.close(descriptor)


def test_a_file_is_cut_every_16_mib_from_its_beginning(tmp_path: Path) -> None:
    content = os.urandom(MB) * 40 + b"end"
    (tmp_path / "file").write_bytes(content)
    pieces = Pieces()

    found = read(tmp_path / "file", pieces)

    assert [chunk.offset for chunk in found.chunks] == [0, PIECE_BYTES, 2 * PIECE_BYTES]
    assert pieces.content(found) == content
    assert found.settled
    assert not found.skewed


def test_an_empty_file_has_no_pieces(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    found = read(tmp_path / "file", Pieces())

    assert (found.size_bytes, found.chunks) == (0, ())


def test_holes_are_no_pieces(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        file.seek(15 * MB)
        file.write(b"x" * 2 * MB)  # across a cut
        file.seek(100 * MB)
        file.write(b"y")
        file.truncate(200 * MB)
    pieces = Pieces()

    found = read(tmp_path / "file", pieces)

    assert found.size_bytes == 200 * MB
    assert sum(chunk.size_bytes for chunk in found.chunks) < 3 * MB
    assert pieces.content(found) == (tmp_path / "file").read_bytes()


def test_a_file_of_nothing_but_a_hole_is_listed_with_its_size(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        file.truncate(5 * MB)

    found = read(tmp_path / "file", Pieces())

    assert (found.size_bytes, found.chunks) == (5 * MB, ())


def test_a_file_written_to_once_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a" * 40 * MB)
    pieces = Pieces()

    def write() -> None:
        pieces.then = lambda: None
        with path.open("r+b") as file:
            file.write(b"b" * 40 * MB)

    pieces.then = write

    found = read(path, pieces)

    assert not found.skewed
    assert pieces.content(found) == b"b" * 40 * MB


@pytest.mark.parametrize("how", ["appended", "truncated", "rewritten"])
def test_a_file_that_never_holds_still_is_skewed(tmp_path: Path, how: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a" * 40 * MB)
    pieces = Pieces()

    def change() -> None:
        if how == "truncated":
            os.truncate(path, max(0, path.stat().st_size - 10 * MB))
        else:
            with path.open("ab" if how == "appended" else "r+b") as file:
                file.write(b"more")

    pieces.then = change
    pauses: list[float] = []

    found = read(path, pieces, pause=pauses.append)

    assert found.skewed
    assert not found.settled
    assert pauses
    # Nothing is claimed that was not read: no zeros in place of what is gone.
    assert set(pieces.content(found)) <= set(b"amore")


def test_a_file_replaced_while_it_is_read_is_read_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old" * 20 * MB)
    (tmp_path / "new").write_bytes(b"new")
    pieces = Pieces()

    def replace() -> None:
        if (tmp_path / "new").exists():
            (tmp_path / "new").replace(path)

    pieces.then = replace

    found = read(path, pieces)

    assert not found.skewed
    assert pieces.content(found) == b"old" * 20 * MB


def test_a_file_written_to_this_very_moment_is_read_once_the_clock_has_ticked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    pauses: list[float] = []
    path.write_bytes(b"x")
    written = path.stat().st_ctime_ns
    monkeypatch.setattr("backstop.files.content.time.time_ns", lambda: written)

    found = read(path, Pieces(), pause=pauses.append)

    assert found.settled
    assert pauses
    assert all(seconds <= 0.02 for seconds in pauses)


def test_a_file_is_not_read_in_the_middle_of_one_long_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which sets the file's times when it begins, and never again."""
    path = tmp_path / "file"
    size = 300 * MB
    path.write_bytes(b"a" * size)
    new = b"b" * size
    descriptor = os.open(path, os.O_WRONLY)
    before = os.fstat(descriptor).st_ctime_ns
    writer = threading.Thread(target=os.pwrite, args=(descriptor, new, 0))
    pieces = Pieces()
    # Quicker than the writer: what it comes to last is read at once.
    monkeypatch.setattr(content, "_extents", lambda *_: iter([(0, MB), (size - MB, MB)]))

    writer.start()
    while os.fstat(descriptor).st_ctime_ns == before:
        time.sleep(0.001)
    time.sleep(0.03)  # so long that nothing about the file looks recent
    under_way = writer.is_alive()
    found = read(path, pieces)
    writer.join()
    os.close(descriptor)

    if not under_way:
        pytest.skip("the write was too quick for this machine's clock")
    assert found.skewed or {piece[:1] for piece in pieces.values()} == {b"b"}
