"""Single files, read while somebody else has them: what the disk says is not always what was listed."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from backstop.commands.base import file_reading
from backstop.commands.base.file_reading import FileReading
from backstop.model.lsn import Lsn
from backstop.postgres.cluster_files import ClusterFile
from backstop.postgres.page_checksums import PageChecksums

if TYPE_CHECKING:
    from pathlib import Path

PAGE_BYTES = 8192


def reading(*, pages: PageChecksums | None = None) -> FileReading:
    return FileReading(pages, segment_pages=131072, stop=threading.Event(), progress=lambda done_bytes: None)


@pytest.mark.timeout(30)
def test_a_pipe_or_a_folder_in_a_file_s_place_is_neither_waited_for_nor_stored(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir(mode=0o700)
    these = reading()

    for name in ("pipe", "folder"):
        assert list(these.member("", ClusterFile(name, str(tmp_path / name), 5, None))) == []
    assert these.files == {}


def test_pages_behind_a_read_that_ends_amid_a_page_are_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As file systems over a network may answer."""
    pages = PageChecksums(page_bytes=PAGE_BYTES, before=Lsn.parse("FFFFFFFF/FFFFFFFF"))
    page = bytearray(os.urandom(PAGE_BYTES))
    content = bytearray()
    for number in range(6):
        page[0:8] = bytes(8)  # its LSN
        page[14:16] = b"\x01\x00"  # pd_upper
        content += _with_checksum(pages, page, number)
    (tmp_path / "16400").write_bytes(content)
    honest = os.pread

    def short(descriptor: int, size_bytes: int, offset: int) -> bytes:
        found = honest(descriptor, size_bytes, offset)
        return found[: 2 * PAGE_BYTES + 100] if offset == 0 else found

    monkeypatch.setattr(file_reading.os, "pread", short)
    monkeypatch.setattr(file_reading, "READ_BYTES", 3 * PAGE_BYTES)
    pieces = list(reading(pages=pages).member("", ClusterFile("16400", str(tmp_path / "16400"), 1, 0)))

    assert b"".join(pieces[1:-1]) == content


def _with_checksum(pages: PageChecksums, page: bytearray, number: int) -> bytes:
    import numpy as np

    words = np.frombuffer(bytes(page), dtype="<u4").reshape(1, -1)
    (found,) = pages._checksums(words, np.array([number], dtype=np.uint64))
    return bytes(page[:8]) + int(found).to_bytes(2, "little") + bytes(page[10:])
