"""Gathers pieces of files into packs, encrypted while they are filled: memory holds a few pieces."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, BinaryIO, cast

from backstop.errors import BackstopError

if TYPE_CHECKING:
    from types import TracebackType

    from backstop.commands.object_writer import ObjectWriter

PACK_BYTES = 32 * 1024 * 1024
"""A pack with so much in it, or more, is full (docs/format.md)."""
LAYOUT = "chunks"
_SEALERS = 2
_WAITING_BYTES = 8 * 1024 * 1024
_RECORD_BYTES = 512
_TRAILER = bytes(2 * _RECORD_BYTES)
_PATIENCE_SECONDS = 0.2


class PackWriter:
    """Thread-safe. A context manager: leaving it by an error gives up what is not finished.

    :param writer: takes each pack as one object.
    :param prefix: of every pack's name: the attempt, and a mark for packs of another purpose.
    """

    def __init__(self, writer: ObjectWriter, *, attempt: str, mark: str = "") -> None:
        self._writer = writer
        self._attempt = attempt
        self._mark = mark
        self._pool = ThreadPoolExecutor(max_workers=_SEALERS, thread_name_prefix="pack")
        self._lock = threading.Lock()
        self._open: _Pack | None = None
        self._sealing: list[tuple[_Pack, Future[None]]] = []
        self._numbered = 0

    def add(self, sha256: str, piece: bytes) -> str:
        """Waits while there is too much to be encrypted. :returns: the name of the pack that gets it.

        :raises BackstopError: an earlier pack could not be stored.
        """
        with self._lock:
            pack = self._open or self._begin()
            # Two threads that met the same content at a time; a piece twice makes a pack unreadable.
            if sha256 in pack.pieces:
                return pack.name
            pack.add(sha256, piece)
            if pack.size >= PACK_BYTES:
                self._end()
            return pack.name

    def finish(self) -> None:
        """Everything added is staged when this returns. :raises BackstopError: a pack could not be stored."""
        with self._lock:
            self._end()
            for _, future in self._sealing:
                future.result()
            self._sealing.clear()

    def __enter__(self) -> PackWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            for pack, _ in self._sealing:
                pack.abort()
        self._pool.shutdown()

    def _begin(self) -> _Pack:
        for _, future in self._sealing:
            if future.done():
                future.result()
        self._sealing = [one for one in self._sealing if not one[1].done()]
        self._numbered += 1
        number = f"{self._mark}{self._numbered}"
        pack = _Pack(f"{self._attempt}-{number}")
        self._sealing.append((pack, self._pool.submit(self._seal, pack, f"packs/{number}")))
        self._open = pack
        return pack

    def _end(self) -> None:
        if self._open is not None:
            self._open.end()
            self._open = None

    def _seal(self, pack: _Pack, object_name: str) -> None:
        try:
            self._writer.write(cast("BinaryIO", pack), layout=LAYOUT, name=pack.name, object_name=object_name)
        except BaseException as error:
            pack.fail(error)
            raise


class _Pack:
    """A tar that is written at one end and read at the other; whoever is too quick waits."""

    closed = False

    def __init__(self, name: str) -> None:
        self.name = name
        self.size = 0
        self.pieces: set[str] = set()
        self._buffers: deque[memoryview] = deque()
        self._waiting = 0
        self._ended = False
        self._failure: BaseException | None = None
        self._changed = threading.Condition()

    def add(self, sha256: str, piece: bytes) -> None:
        padding = -len(piece) % _RECORD_BYTES
        self.size += _RECORD_BYTES + len(piece) + padding
        self.pieces.add(sha256)
        with self._changed:
            while self._waiting > _WAITING_BYTES and self._failure is None:
                self._changed.wait(_PATIENCE_SECONDS)
            if self._failure is not None:
                raise self._failure
            self._put(member_header(sha256, len(piece)))
            self._put(piece)
            self._put(bytes(padding))
            self._changed.notify()

    def end(self) -> None:
        with self._changed:
            self._put(_TRAILER)
            self._ended = True
            self._changed.notify()

    def fail(self, error: BaseException) -> None:
        """Nobody reads it any more: whoever adds is told why."""
        with self._changed:
            self._failure = self._failure or error
            self._changed.notify_all()

    def abort(self) -> None:
        """Nobody fills it any more. Never taken for its end: what is being encrypted must stay without its
        final frame."""
        self.fail(BackstopError("the backup was given up", hint="the first error says why"))

    def read(self, size_bytes: int) -> bytes:
        with self._changed:
            while self._waiting < size_bytes and not self._ended and self._failure is None:
                self._changed.wait(_PATIENCE_SECONDS)
            if self._failure is not None:
                raise self._failure
            parts = self._take(size_bytes)
            self._changed.notify_all()
        return b"".join(parts)

    def _put(self, buffer: bytes) -> None:
        if buffer:
            self._buffers.append(memoryview(buffer))
            self._waiting += len(buffer)

    def _take(self, size_bytes: int) -> list[memoryview]:
        parts: list[memoryview] = []
        missing = size_bytes
        while missing and self._buffers:
            buffer = self._buffers.popleft()
            if len(buffer) > missing:
                self._buffers.appendleft(buffer[missing:])
                buffer = buffer[:missing]
            parts.append(buffer)
            missing -= len(buffer)
        self._waiting -= size_bytes - missing
        return parts


def member_header(name: str, size_bytes: int) -> bytes:
    """Of a regular file in a ustar archive (POSIX.1-1988, `ustar Interchange Format`)."""
    raw = name.encode("ascii")
    header = bytearray(_TEMPLATE)
    header[: len(raw)] = raw
    header[124:135] = b"%011o" % size_bytes
    header[148:155] = b"%06o\0" % (sum(header))
    return bytes(header)


def _template() -> bytes:
    header = bytearray(_RECORD_BYTES)
    header[100:108] = b"0000600\0"
    header[108:116] = header[116:124] = b"0000000\0"
    header[136:148] = b"00000000000\0"
    header[148:156] = b" " * 8  # what a checksum is taken with
    header[156:157] = b"0"
    header[257:265] = b"ustar\x0000"
    return bytes(header)


_TEMPLATE = _template()
