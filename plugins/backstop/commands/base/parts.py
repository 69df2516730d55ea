"""A base backup's archives, cut into parts while they stream: the hand-over from the receiver to the encoder.

A part is a whole tar archive of whole members, so that it can be extracted by itself. Memory holds a few
blocks, whatever the size of the cluster: the receiver waits for the encoder, and the server for the receiver.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from backstop.crypto.zstd_frames import FRAME_BYTES
from backstop.errors import BackstopError
from backstop.postgres.tar_members import TRAILER, TarMembers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from backstop.commands.object_writer import ObjectWriter

PART_BYTES = 256 * 1024 * 1024
_LEAST_PART_BYTES = 32 * 1024 * 1024
_PARTS_AT_LEAST = 16
_BLOCKS_WAITING = 4
_PATIENCE_SECONDS = 0.2
LAYOUT = "base"


def part_bytes_for(cluster_bytes: int, *, most_bytes: int = PART_BYTES) -> int:
    """How large to make the parts of a cluster of about that size.

    Smaller ones for a small cluster: the first is on its way sooner, the last is shorter, and a restore reads
    several at a time.
    """
    return min(most_bytes, max(_LEAST_PART_BYTES, cluster_bytes // _PARTS_AT_LEAST))


class _End:
    """Of a part, or of everything."""


_END_OF_PART, _END_OF_PARTS = _End(), _End()


class PartQueue:
    """Parts in turn, each a name and then its blocks; bounded, and either side can abort the other."""

    def __init__(self) -> None:
        self._items: queue.Queue[str | bytes | _End] = queue.Queue(_BLOCKS_WAITING)
        self._aborted = threading.Event()

    def abort(self) -> None:
        """Whoever waits here gets an error instead."""
        self._aborted.set()

    def put(self, item: str | bytes | _End) -> None:
        while True:
            self._refuse_if_aborted()
            try:
                return self._items.put(item, timeout=_PATIENCE_SECONDS)
            except queue.Full:
                continue

    def get(self) -> str | bytes | _End:
        while True:
            self._refuse_if_aborted()
            try:
                return self._items.get(timeout=_PATIENCE_SECONDS)
            except queue.Empty:
                continue

    def _refuse_if_aborted(self) -> None:
        # Never taken for the end of a part: what is being encrypted must stay without its final frame.
        if self._aborted.is_set():
            raise BackstopError("the base backup was given up", hint="the first error says why")


@dataclass(slots=True)
class PartCutter:
    """The receiver's side: takes the archives' bytes as they come and cuts them at members' ends.

    :param part_bytes: a part is complete at the first member's end behind so many bytes.
    """

    queue: PartQueue
    part_bytes: int = PART_BYTES
    files: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Size in bytes and CRC-32C of every file, by path in the data directory."""
    links: dict[str, str] = field(default_factory=dict)
    parts: int = 0
    _tablespace: str = ""
    _members: TarMembers | None = None
    _numbered: int = 0
    _part_open: bool = False
    _part_size: int = 0
    _undecided: bytes = b""
    """The beginning of a header, or of the trailer: the next chunk tells."""
    _block: list[memoryview | bytes] = field(default_factory=list)
    _block_size: int = 0

    def begin(self, tablespace: str) -> None:
        """The archive of a tablespace (``base`` or its oid) begins; the one before has ended."""
        self.end()
        self._tablespace = tablespace
        self._numbered = 0
        prefix = "" if tablespace == "base" else f"pg_tblspc/{tablespace}/"
        self._members = TarMembers(f"{tablespace}.tar", prefix=prefix)

    def add(self, chunk: memoryview) -> None:
        """:raises IntegrityError: not what PostgreSQL would send."""
        members = cast("TarMembers", self._members)
        ends = members.feed(chunk)
        if members.header_bytes > len(chunk):
            self._undecided += bytes(chunk)
            return
        # A header begins with a name; the trailer is zeros.
        if any(self._undecided):
            self._write(self._undecided)
        self._undecided = b""
        begin = 0
        for end in ends:
            if self._part_size + end - begin >= self.part_bytes:
                self._write(chunk[begin:end])
                self._end_part()
                begin = end
        if members.ended:
            # The server's own trailer: every part gets one of ours instead.
            self._write(chunk[begin : ends[-1] if ends else begin])
        else:
            decided = len(chunk) - members.header_bytes
            self._write(chunk[begin:decided])
            self._undecided = bytes(chunk[decided:])

    def end(self) -> None:
        """The last archive has ended. :raises IntegrityError: it had not."""
        if self._members is None:
            return
        self._members.finish()
        self.files.update(self._members.files)
        self.links.update(self._members.links)
        if self._part_open or not self._numbered:
            self._end_part()
        self._members = None

    def finish(self) -> None:
        """Nothing more comes."""
        self.end()
        self.queue.put(_END_OF_PARTS)

    def _write(self, piece: memoryview | bytes) -> None:
        if piece:
            self._open_part()
        self._part_size += len(piece)
        while piece:
            taken = piece[: FRAME_BYTES - self._block_size]
            self._block.append(taken)
            self._block_size += len(taken)
            piece = piece[len(taken) :]
            if self._block_size == FRAME_BYTES:
                self._flush()

    def _open_part(self) -> None:
        if not self._part_open:
            self._numbered += 1
            self.parts += 1
            self.queue.put(f"{self._tablespace}/{self._numbered:06d}")
            self._part_open = True

    def _flush(self) -> None:
        if self._block:
            self.queue.put(b"".join(self._block))
            self._block, self._block_size = [], 0

    def _end_part(self) -> None:
        self._write(TRAILER)
        self._flush()
        self.queue.put(_END_OF_PART)
        self._part_open, self._part_size = False, 0


class BlockSource:
    """A run of blocks, read like a file until its end; what the run raises passes through."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = memoryview(b"")

    def read(self, size_bytes: int) -> bytes:
        if not self._rest:
            block = next(self._blocks, b"")
            if len(block) <= size_bytes:
                return block
            self._rest = memoryview(block)
        taken, self._rest = self._rest[:size_bytes], self._rest[size_bytes:]
        return bytes(taken)


def _one_part(parts: PartQueue) -> Iterator[bytes]:
    while isinstance(item := parts.get(), bytes):
        yield item


def encode_parts(parts: PartQueue, writer: ObjectWriter) -> None:
    """The encoder's side: every part becomes an object on its way to the repositories."""
    while isinstance(name := parts.get(), str):
        source = cast("BinaryIO", BlockSource(_one_part(parts)))
        writer.write(source, layout=LAYOUT, name=name, object_name=name)
