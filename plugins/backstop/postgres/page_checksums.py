"""PostgreSQL's checksum of data pages, for many pages at a time.

As ``src/include/storage/checksum_impl.h`` has it (unchanged since 9.3): 32 lanes of FNV-1a over the page's
words, mixed, folded, mixed with the block's number. Which pages are judged is the rule of ``basebackup.c``:
neither new ones, nor those that changed after the backup's start, because WAL brings those back whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backstop.model.lsn import Lsn

_LANES = 32
_FNV_PRIME = 16777619
# One for each lane: random, so that lanes differ from each other.
_OFFSETS = (
    0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C,
    0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB,
    0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4,
    0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756,
)  # fmt: skip
# PageHeaderData (bufpage.h): the LSN's halves at 0 and 4, pd_checksum at 8, pd_flags at 10, pd_upper at 14.
_CHECKSUM_WORD, _CHECKSUM_SHORT, _UPPER_SHORT = 2, 4, 7
_WITHOUT_CHECKSUM = 0xFFFF0000


class PageChecksums:
    """Judges pages of one cluster.

    :param page_bytes: ``block_size`` of the server.
    :param before: the backup's start; a page whose LSN is not before it is not judged.
    """

    def __init__(self, *, page_bytes: int, before: Lsn) -> None:
        import numpy as np

        self.page_bytes = page_bytes
        self._np = np
        self._before = np.uint64(before.position)
        self._offsets = np.array(_OFFSETS, dtype="<u4")

    def damaged(self, pages: bytes | memoryview, *, first_block: int) -> list[int]:
        """Which of the pages are not what was written.

        :param pages: whole pages, one after another; what follows the last whole one is left out.
        :param first_block: number of the first page within its relation, over all its segments.
        :returns: their places among ``pages``, from 0.
        """
        np = self._np
        count = len(pages) // self.page_bytes
        if not count:
            return []
        words = np.frombuffer(pages, dtype="<u4", count=count * self.page_bytes // 4).reshape(count, -1)
        shorts = words.view("<u2")
        lsns = (words[:, 0].astype(np.uint64) << np.uint64(32)) | words[:, 1]
        judged = (shorts[:, _UPPER_SHORT] != 0) & (lsns < self._before)
        if not judged.any():
            return []
        blocks = np.arange(first_block, first_block + count, dtype=np.uint64)
        wrong = judged & (shorts[:, _CHECKSUM_SHORT] != self._checksums(words, blocks))
        return [int(place) for place in np.flatnonzero(wrong)]

    def _checksums(self, words: Any, blocks: Any) -> Any:
        """Of each page, as it would stand in its header."""
        np = self._np
        rows = words.reshape(len(words), -1, _LANES)
        first = rows[:, 0, :].copy()
        # Computed as if the field itself were zero.
        first[:, _CHECKSUM_WORD] &= np.uint32(_WITHOUT_CHECKSUM)
        prime, shift = np.uint32(_FNV_PRIME), np.uint32(17)
        sums = np.broadcast_to(self._offsets, first.shape).copy()
        low = np.empty_like(sums)
        for number in range(rows.shape[1] + 2):
            if number == 0:
                np.bitwise_xor(sums, first, out=sums)
            elif number < rows.shape[1]:
                np.bitwise_xor(sums, rows[:, number, :], out=sums)
            # Two rounds of zeros mix the last words in.
            np.right_shift(sums, shift, out=low)
            np.multiply(sums, prime, out=sums)
            np.bitwise_xor(sums, low, out=sums)
        folded = np.bitwise_xor.reduce(sums, axis=1) ^ blocks.astype(np.uint32)
        # Never zero: a page that was zeroed must not pass.
        return (folded % np.uint32(65535) + np.uint32(1)).astype(np.uint16)
