"""Folders that are opened step by step below another one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from backstop.errors import RestoreError
from backstop.files.directories import FOLDER, Directories

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def top(tmp_path: Path) -> Iterator[int]:
    for name in ("a/b/c", "a/d", "e"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "a" / "link").symlink_to("b")
    descriptor = os.open(tmp_path, FOLDER)
    yield descriptor
    os.close(descriptor)


def test_each_way_leads_to_its_own_folder_whatever_was_asked_before(top: int, tmp_path: Path) -> None:
    ways = ["a/b/c", "a/b/c", "a/b", "a/d", "", "e", "a/b/c", "a", ""]

    with Directories(top) as folders:
        for way in ways:
            parts = [os.fsencode(name) for name in way.split("/") if name]
            assert os.path.samestat(os.fstat(folders.at(parts)), (tmp_path / way).stat()), way


def test_a_way_that_failed_leads_nowhere_the_next_time_either(top: int, tmp_path: Path) -> None:
    with Directories(top) as folders:
        folders.at([b"a", b"d"])
        for _ in range(2):
            with pytest.raises(RestoreError, match="a/link is no folder here"):
                folders.at([b"a", b"link"])
            with pytest.raises(FileNotFoundError):
                folders.at([b"e", b"none"])
        assert os.path.samestat(os.fstat(folders.at([b"a", b"d"])), (tmp_path / "a" / "d").stat())
