"""Hard links whose first name leads elsewhere by the time that it is opened."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from backstop.files.scan import find_roots, scan

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def links_found(top: Path, meanwhile: str) -> dict[str, str]:
    """Names of files, and the names that they are links to. :param meanwhile: ``replaced`` or ``removed``."""
    for name in ("a", "b", "c"):
        if name == "a":
            (top / name).write_text("old")
        else:
            (top / name).hardlink_to(top / "a")
    found = {}
    for scanned in scan(find_roots([str(top)]), on_skip=lambda skipped: None):
        name = os.fsdecode(scanned.path.rpartition(b"/")[2])
        if name == "a":
            (top / "new").write_text("new")
            (top / "new").rename(top / "a")
            if meanwhile == "removed":
                (top / "a").unlink()
            try:
                os.close(scanned.open())
            except FileNotFoundError:
                continue
        found[name] = os.fsdecode(scanned.hard_link.rpartition(b"/")[2])
    return {name: found[name] for name in found if name in ("a", "b", "c")}


def test_a_name_of_a_file_is_no_link_to_what_has_replaced_the_first_one(tmp_path: Path) -> None:
    assert links_found(tmp_path, "replaced") == {"a": "", "b": "", "c": "b"}


def test_the_other_names_of_a_file_stay_when_the_first_one_goes(tmp_path: Path) -> None:
    assert links_found(tmp_path, "removed") == {"b": "", "c": "b"}


def test_a_file_that_gets_the_inode_of_one_that_went_is_no_link_to_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("a", "b"):
        (tree / name).write_text(f"content of {name}")
        (tmp_path / f"{name}, elsewhere").hardlink_to(tree / name)
    genuine, inode = os.stat, (tree / "a").stat().st_ino

    def stat(path: int | bytes, **options: Any) -> os.stat_result:
        found = genuine(path, **options)
        if path != b"b":
            return found
        return os.stat_result((found.st_mode, inode, *found[2:]), {"st_mtime_ns": found.st_mtime_ns})

    monkeypatch.setattr("backstop.files.sorted_walk.os.stat", stat)
    links = {
        scanned.path.rpartition(b"/")[2]: scanned.hard_link
        for scanned in scan(find_roots([str(tree)]), on_skip=lambda skipped: None)
    }

    assert links[b"b"] == b""
