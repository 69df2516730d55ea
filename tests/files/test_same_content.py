"""Whether a file that looks changed still holds what a backup lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backstop.files.same_content import has_content_of
from backstop.model.file_tree import Chunk, Entry, EntryKind
from tests.tree_making import entry, sha256

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.conf"
    path.write_bytes(b"content")
    return path


@pytest.fixture
def listed(path: Path) -> Entry:
    chunk = Chunk(0, 7, sha256(b"content"), "0-1")
    return entry(str(path), EntryKind.FILE, size_bytes=7, chunks=(chunk,))


def test_a_file_holds_what_is_listed_or_it_does_not(path: Path, listed: Entry) -> None:
    assert has_content_of(listed)
    for other in (b"CONTENT", b"content and more", b""):
        path.write_bytes(other)
        assert not has_content_of(listed)
    path.unlink()
    assert not has_content_of(listed)


def test_a_change_within_the_tick_of_the_last_one_is_waited_for(
    path: Path, listed: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = path.stat().st_ctime_ns
    # Later it would leave the same times, and nobody would look at this file again.
    monkeypatch.setattr("backstop.files.content.time.time_ns", lambda: last)

    assert not has_content_of(listed, pause=lambda seconds: path.write_bytes(b"CONTENT") and None)


def test_a_write_that_is_under_way_is_waited_for(
    path: Path, listed: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "backstop.files.same_content.wait_for_writer", lambda descriptor: path.write_bytes(b"CONTENT")
    )

    assert not has_content_of(listed)
