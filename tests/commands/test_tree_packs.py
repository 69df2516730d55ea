"""Packs of pieces: what several readers put into them at a time can be read again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, BinaryIO, cast

from backstop.commands.trees.pack import Pack
from backstop.commands.trees.packs import PackWriter
from tests.tree_making import sha256

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.commands.object_writer import ObjectWriter


class Objects:
    """Takes packs as they are, unencrypted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, source: BinaryIO, *, layout: str, name: str, object_name: str) -> None:
        with (self.folder / name).open("wb") as file:
            while block := source.read(65536):
                file.write(block)


def test_content_that_two_readers_meet_at_a_time_is_in_a_pack_once(tmp_path: Path) -> None:
    piece = b"the same photo, in two folders"
    both = Barrier(2)

    def add(packs: PackWriter) -> str:
        both.wait()
        return packs.add(sha256(piece), piece)

    with (
        PackWriter(cast("ObjectWriter", Objects(tmp_path)), attempt="0") as packs,
        ThreadPoolExecutor(2) as readers,
    ):
        names = {future.result() for future in [readers.submit(add, packs) for _ in range(2)]}
        packs.finish()

    [name] = names
    with Pack(tmp_path / name, name) as pack, pack.piece(sha256(piece), len(piece)) as found:
        assert bytes(found) == piece
