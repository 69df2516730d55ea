"""A folder goes with all that is in it, however deep; nothing beside it does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from backstop.files import removal
from backstop.files.removal import remove_tree

if TYPE_CHECKING:
    from pathlib import Path


def deep(folder: Path, levels: int) -> None:
    folder.mkdir()
    descriptor = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=descriptor)
        below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=descriptor))
    os.close(descriptor)


def test_however_deep_it_is_it_goes(tmp_path: Path):
    deep(tmp_path / "top", 3000)

    remove_tree(os.fsencode(tmp_path / "top"))

    assert list(tmp_path.iterdir()) == []


def test_what_links_lead_to_stays(tmp_path: Path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    (tmp_path / "top" / "closed" / "below").mkdir(parents=True)
    (tmp_path / "top" / "link").symlink_to(tmp_path / "kept")
    (tmp_path / "top" / "closed").chmod(0)

    remove_tree(os.fsencode(tmp_path / "top"))

    assert [path.name for path in tmp_path.rglob("*")] == ["kept", "file"]


def test_what_is_not_there_is_no_error_and_a_link_is(tmp_path: Path):
    remove_tree(os.fsencode(tmp_path / "nothing" / "here"))
    (tmp_path / "link").symlink_to(tmp_path)

    with pytest.raises(OSError, match="link"):
        remove_tree(os.fsencode(tmp_path / "link"))


def test_what_cannot_be_removed_stays_and_the_rest_goes_where_that_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("a", "b", "c"):
        (tmp_path / "top" / name / "below").mkdir(parents=True)
    opened = removal._opened

    def broken(name: str, above: int) -> int:
        if name == "b":
            raise PermissionError(13, "Permission denied", name)
        return opened(name, above)

    monkeypatch.setattr(removal, "_opened", broken)

    with pytest.raises(PermissionError):
        remove_tree(os.fsencode(tmp_path / "top"))
    remove_tree(os.fsencode(tmp_path / "top"), ignore_errors=True)

    assert sorted(path.name for path in (tmp_path / "top").rglob("*")) == ["b", "below"]
