"""What came into folders while a tree was walked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.files.scan import find_roots, scan
from backstop.files.second_look import find_late

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_what_a_restore_puts_there_meanwhile_is_none_of_the_tree(tmp_path: Path) -> None:
    roots = find_roots([str(tmp_path)])
    lines = [scanned.entry.to_line() for scanned in scan(roots, on_skip=lambda skipped: None)]
    (tmp_path / ".backstop-0123456789abcdef").mkdir()
    (tmp_path / ".a.conf.before-20261124T120000Z").touch()
    (tmp_path / "a.conf").touch()

    late = find_late(roots, lambda: lines, exclude=(), known=())

    assert [root.path.rpartition(b"/")[2] for root in late] == [b"a.conf"]


def test_a_folder_is_looked_into_once_the_tick_of_its_last_change_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    last = folder.stat().st_ctime_ns
    # A change now would leave the same ctime: neither a second look nor the next backup would see it.
    monkeypatch.setattr("backstop.files.content.time.time_ns", lambda: last)
    monkeypatch.setattr("backstop.files.sorted_walk.time.sleep", lambda seconds: (folder / "late").touch())

    found = [scanned.path for scanned in scan(find_roots([str(folder)]), on_skip=lambda skipped: None)]

    assert [path.rpartition(b"/")[2] for path in found] == [b"folder", b"late"]
