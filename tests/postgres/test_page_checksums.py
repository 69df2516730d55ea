"""Pages are judged as PostgreSQL judges them: by pages that PostgreSQL wrote."""

from __future__ import annotations

import random
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backstop.model.lsn import Lsn
from backstop.postgres.page_checksums import PageChecksums
from tests.physical import server_of

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = 8192
END = Lsn(2**64 - 1)

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def pages() -> Iterator[bytes]:
    """Of a table and its index, as the server wrote them."""
    folder = Path(tempfile.mkdtemp(prefix="backstop-pages-"))
    folder.chmod(0o711)
    try:
        with server_of(folder, 16) as server, server.connect() as session:
            session.execute("CREATE TABLE written AS SELECT n, md5(n::text) FROM generate_series(1, 60000) n")
            session.execute("CHECKPOINT")
            (path,) = session.execute("SELECT pg_relation_filepath('written')").fetchone()
            content = (server.data / path).read_bytes()
        yield content
    finally:
        shutil.rmtree(folder)


def reference(page: bytes, block: int) -> int:
    """One page, one word after another, as checksum_impl.h describes it."""
    from backstop.postgres.page_checksums import _OFFSETS

    page = page[:8] + bytes(2) + page[10:]
    sums = list(_OFFSETS)
    words = [int.from_bytes(page[at : at + 4], "little") for at in range(0, len(page), 4)] + [0] * 64
    for number, word in enumerate(words):
        mixed = sums[number % 32] ^ word
        sums[number % 32] = (mixed * 16777619 & 0xFFFFFFFF) ^ (mixed >> 17)
    result = 0
    for one in sums:
        result ^= one
    return (result ^ block) % 65535 + 1


def test_what_the_server_wrote_is_sound_wherever_a_file_is_cut_into_runs(pages: bytes):
    judge = PageChecksums(page_bytes=PAGE, before=END)
    assert len(pages) > 300 * PAGE
    for count in (1, 7, 128, 10_000):
        for first in range(0, min(len(pages) // PAGE, 600), count):
            run = pages[first * PAGE : (first + count) * PAGE]
            assert judge.damaged(run, first_block=first) == []


def test_any_bit_that_flipped_is_found_and_no_other_page_blamed(pages: bytes):
    judge = PageChecksums(page_bytes=PAGE, before=END)
    chance = random.Random(1)
    for _ in range(200):
        run = bytearray(pages[: 16 * PAGE])
        place = chance.randrange(len(run))
        # Without pd_upper a page is new, and the LSN says whether it is judged: neither is tried here.
        if place % PAGE in (*range(8), 14, 15):
            continue
        run[place] ^= 1 << chance.randrange(8)
        assert judge.damaged(bytes(run), first_block=0) == [place // PAGE]


def test_a_page_in_another_place_is_damaged(pages: bytes):
    judge = PageChecksums(page_bytes=PAGE, before=END)
    assert judge.damaged(pages[: 2 * PAGE], first_block=1) == [0, 1]
    assert judge.damaged(pages[PAGE : 2 * PAGE] + pages[:PAGE], first_block=0) == [0, 1]


def test_the_block_is_counted_over_all_files_of_a_relation(pages: bytes):
    judge = PageChecksums(page_bytes=PAGE, before=END)
    block = 3 * 131072 + 5
    page = bytearray(pages[:PAGE])
    page[8:10] = reference(bytes(page), block).to_bytes(2, "little")
    assert judge.damaged(bytes(page), first_block=block) == []
    assert judge.damaged(bytes(page), first_block=5) == [0]


def test_pages_that_changed_since_the_start_and_new_ones_are_not_judged(pages: bytes):
    page = bytearray(pages[:PAGE])
    page[5000] ^= 1
    lsn = Lsn(int.from_bytes(page[:4], "little") << 32 | int.from_bytes(page[4:8], "little"))
    assert PageChecksums(page_bytes=PAGE, before=lsn + 1).damaged(bytes(page), first_block=0) == [0]
    assert PageChecksums(page_bytes=PAGE, before=lsn).damaged(bytes(page), first_block=0) == []

    new = bytes(PAGE)
    half_new = bytearray(page)
    half_new[14:16] = b"\0\0"
    judge = PageChecksums(page_bytes=PAGE, before=END)
    assert judge.damaged(new + bytes(half_new), first_block=0) == []


def test_other_page_sizes_are_computed_by_the_same_rule():
    chance = random.Random(2)
    for size in (1024, 4096, 32768):
        pages = []
        for block in range(5):
            page = bytearray(chance.randbytes(size))
            page[8:10] = reference(bytes(page), block).to_bytes(2, "little")
            pages.append(bytes(page))
        judge = PageChecksums(page_bytes=size, before=END)
        assert judge.damaged(b"".join(pages), first_block=0) == []
        assert judge.damaged(b"".join(pages)[: -size // 2], first_block=0) == []
        assert judge.damaged(b"".join(pages[1:]), first_block=0) == [0, 1, 2, 3]
