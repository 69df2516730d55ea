"""Files are made anew below one folder, with their metadata; nothing that is there is written to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from backstop.errors import IntegrityError, RestoreError
from backstop.files.ownership import Ownership
from backstop.files.place import Placer, make
from backstop.files.shortfalls import Shortfalls
from backstop.model.file_tree import Entry, EntryKind
from tests.tree_making import entry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def placer(tmp_path: Path) -> Iterator[Placer]:
    top = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    placer = Placer(top, owner=Ownership(), shortfalls=Shortfalls())
    yield placer
    placer.close()
    os.close(top)


def file(size_bytes: int = 7, **changes: object) -> Entry:
    return entry("a", EntryKind.FILE, **{"size_bytes": size_bytes, "mode": 0o640, **changes})


def test_a_file_is_whole_with_its_metadata(placer: Placer, tmp_path: Path) -> None:
    placer.whole_file([b"a"], file(100), 10, memoryview(b"content"))

    assert (tmp_path / "a").read_bytes() == bytes(10) + b"content" + bytes(83)
    assert (tmp_path / "a").stat().st_mode & 0o7777 == 0o640
    assert (tmp_path / "a").stat().st_mtime_ns == 1_700_000_000_123_456_789


def test_a_file_that_is_there_is_not_written_to(placer: Placer, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")

    with pytest.raises(FileExistsError):
        placer.whole_file([b"a"], file(), 0, memoryview(b"content"))
    assert (tmp_path / "a").read_text() == "mine"


def test_a_link_that_is_there_is_not_written_through(placer: Placer, tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "victim")

    with pytest.raises(FileExistsError):
        placer.whole_file([b"a"], file(), 0, memoryview(b"content"))
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        placer.piece([b"a"], 0, memoryview(b"content"))
    assert not (tmp_path / "victim").exists()


def test_a_folder_that_is_a_link_is_not_followed(placer: Placer, tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "d").symlink_to("victim")

    with pytest.raises(RestoreError, match="d is no folder here"):
        placer.whole_file([b"d", b"a"], file(), 0, memoryview(b"content"))
    with pytest.raises(RestoreError, match="d is no folder here"):
        placer.directory([b"d", b"new"])
    assert list((tmp_path / "victim").iterdir()) == []


def test_pieces_come_in_any_order(placer: Placer, tmp_path: Path) -> None:
    placer.begin_file([b"a"], file(20))
    assert (tmp_path / "a").stat().st_mode & 0o7777 == 0o600
    placer.piece([b"a"], 15, memoryview(b"later"))
    placer.piece([b"a"], 0, memoryview(b"first"))
    placer.finish_file([b"a"], file(20))

    assert (tmp_path / "a").read_bytes() == b"first" + bytes(10) + b"later"
    assert (tmp_path / "a").stat().st_mode & 0o7777 == 0o640


def test_folders_are_private_until_they_are_finished(placer: Placer, tmp_path: Path) -> None:
    folder = entry("d", mode=0o2777)
    assert not make(placer, [b"d"], folder)
    assert (tmp_path / "d").stat().st_mode & 0o777 == 0o700

    placer.whole_file([b"d", b"a"], file(0), 0, memoryview(b""))
    placer.finish_directory([b"d"], folder)

    assert (tmp_path / "d").stat().st_mode & 0o7777 == 0o2777
    assert (tmp_path / "d").stat().st_mtime_ns == folder.mtime_ns


def test_a_hard_link_to_what_is_no_file_is_the_backups_fault(placer: Placer, tmp_path: Path) -> None:
    top = os.open(tmp_path, os.O_RDONLY)
    (tmp_path / "d").mkdir()
    try:
        for name in (b"d", b"gone"):
            with pytest.raises(IntegrityError, match="no file of the backup"):
                placer.hard_link([b"a"], file(hard_link=name), top, name)
    finally:
        os.close(top)
