"""The index of a restore on a disk without room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backstop.commands.trees.needs import Needs
from backstop.errors import RestoreError, StorageFullError
from backstop.model.file_tree import Chunk, EntryKind
from tests.tree_making import entry

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.conftest import SmallDisk

pytestmark = pytest.mark.system
MIB = 1024 * 1024


def fill(needs: Needs, *, files: int) -> None:
    for number in range(files):
        chunk = Chunk(0, 7, f"{number:064x}", "0-1")
        needs.pieces(entry(f"srv/{number:06d}", EntryKind.FILE, size_bytes=7, chunks=(chunk,)), 0)
    needs.done()


def test_a_full_scratch_folder_is_told_as_that_while_the_index_is_made(small_disk: SmallDisk) -> None:
    small_disk.resize(MIB)
    needs = Needs(small_disk.path / "needs.sqlite")

    with pytest.raises(StorageFullError, match=f"no space left in {small_disk.path} for the index") as caught:
        fill(needs, files=20_000)
    needs.close()

    assert caught.value.hint


def test_an_index_that_is_damaged_under_way_ends_the_restore_with_its_folder_named(tmp_path: Path) -> None:
    needs = Needs(tmp_path / "needs.sqlite")
    fill(needs, files=20_000)
    with (tmp_path / "needs.sqlite").open("r+b") as file:
        file.write(b"\xff" * 2 * MIB)

    with pytest.raises(RestoreError, match=f"the index of this restore in {tmp_path} cannot be used"):
        list(Needs.of_pack(needs, "0-1"))
    needs.close()
