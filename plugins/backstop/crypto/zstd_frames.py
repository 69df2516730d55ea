"""Plaintext as a run of independent zstd frames (RFC 8878), each at most 4 MiB of content.

Every frame states its content size and carries a checksum, so a reader needs memory for one frame only
and knows how much comes out before it decompresses: a decompression bomb has nowhere to hide.
``zstd -d`` reads the run as it is.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import zstandard

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from backstop.crypto.streams import HashingReader

FRAME_BYTES = 4 * 1024 * 1024
LEVEL = 1

# A frame's compressed size cannot pass this (ZSTD_compressBound: n + n/256, and small change).
_MOST_COMPRESSED_BYTES = FRAME_BYTES + FRAME_BYTES // 256 + 1024
_LEAST_HEADER_BYTES, _MOST_HEADER_BYTES = 5, 18
_BLOCK_HEADER_BYTES = 3
_CHECKSUM_BYTES = 4
_RLE_BLOCK, _RESERVED_BLOCK = 1, 3


class FrameError(ValueError):
    """The bytes are not a run of frames as this module writes them; says how, not in which object."""


class FrameReader:
    """The compressed form of a source, read like a file. Empty input is one empty frame.

    :param compressors: threads that compress, some frames ahead; the outcome is the same for any number.
    """

    closed = False
    """The SDK takes a ValueError from a closed stream for its end; from this one it must not."""

    def __init__(self, source: HashingReader, *, compressors: int = 1) -> None:
        blocks = _blocks(source)
        self._frames = map(_compress, blocks) if compressors == 1 else _compress_ahead(blocks, compressors)
        self._rest = memoryview(b"")
        self._failure: BaseException | None = None

    def read(self, size_bytes: int) -> bytes:
        """Exactly that many compressed bytes, or what is left before the end."""
        parts: list[memoryview] = []
        missing = size_bytes
        while missing:
            if not self._rest:
                frame = self._next_frame()
                if frame is None:
                    break
                self._rest = memoryview(frame)
            part, self._rest = self._rest[:missing], self._rest[missing:]
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def _next_frame(self) -> bytes | None:
        if self._failure is not None:
            # An iterator that has raised looks exhausted afterwards: a failure must never look like the end.
            raise self._failure
        try:
            return next(self._frames, None)
        except BaseException as error:
            self._failure = error
            raise


def _blocks(source: HashingReader) -> Iterator[bytes]:
    block = source.read(FRAME_BYTES)
    yield block
    while len(block) == FRAME_BYTES:
        block = source.read(FRAME_BYTES)
        if block:
            yield block


def _compress(block: bytes) -> bytes:
    compressor = zstandard.ZstdCompressor(level=LEVEL, write_content_size=True, write_checksum=True)
    return compressor.compress(block)


def _compress_ahead(blocks: Iterator[bytes], compressors: int) -> Iterator[bytes]:
    """Compressed in several threads, in order; memory for twice as many frames."""
    with ThreadPoolExecutor(max_workers=compressors, thread_name_prefix="compress") as pool:
        under_way: deque[Future[bytes]] = deque()
        for block in blocks:
            under_way.append(pool.submit(_compress, block))
            if len(under_way) == 2 * compressors:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


def unframe(chunks: Iterable[bytes], *, most_bytes: int | None) -> Iterator[bytes]:
    """The content of each frame in turn; memory for one frame, whatever the input claims.

    :param most_bytes: refuse, before decompressing it, the frame that would pass this total.
    :raises FrameError: a frame is malformed, cut, without size or checksum, too large, or damaged.
    """
    decompressor = zstandard.ZstdDecompressor(max_window_size=2 * FRAME_BYTES)
    buffer = bytearray()
    total = frames = 0
    for chunk in chunks:
        buffer += chunk
        while (found := _first_frame(buffer)) is not None:
            length, content_bytes = found
            total += content_bytes
            if most_bytes is not None and total > most_bytes:
                raise FrameError(f"holds more than the {most_bytes} bytes it should")
            with memoryview(buffer) as view, view[:length] as frame:
                content = _decompress(decompressor, frame)
            del buffer[:length]
            frames += 1
            yield content
        if len(buffer) > _MOST_COMPRESSED_BYTES:
            raise FrameError(f"a zstd frame is larger than {FRAME_BYTES} bytes")
    if buffer:
        raise FrameError("the last zstd frame is cut")
    if not frames:
        raise FrameError("no zstd frame in it")


def _decompress(decompressor: zstandard.ZstdDecompressor, frame: memoryview) -> bytes:
    try:
        return decompressor.decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise FrameError(f"a zstd frame does not decompress: {error}") from error


def _first_frame(buffer: bytearray) -> tuple[int, int] | None:
    """Compressed and content size of the first frame, or None while it is not all there.

    Walks the block headers (RFC 8878, 3.1.1.2): zstd has no other way to learn a frame's length.
    """
    header = bytes(buffer[:_MOST_HEADER_BYTES])
    if not header.startswith(zstandard.FRAME_HEADER[: len(header)]):
        raise FrameError("not a zstd frame")
    if len(header) < _LEAST_HEADER_BYTES or len(header) < (start := zstandard.frame_header_size(header)):
        return None
    content_bytes = _content_bytes(header)
    position, last = start, False
    while not last:
        if position + _BLOCK_HEADER_BYTES > len(buffer):
            return None
        block = int.from_bytes(buffer[position : position + _BLOCK_HEADER_BYTES], "little")
        last, kind, size = bool(block & 1), block >> 1 & 3, block >> 3
        if kind == _RESERVED_BLOCK:
            raise FrameError("a zstd frame has a reserved block type")
        position += _BLOCK_HEADER_BYTES + (1 if kind == _RLE_BLOCK else size)
    position += _CHECKSUM_BYTES
    return (position, content_bytes) if position <= len(buffer) else None


def _content_bytes(header: bytes) -> int:
    try:
        parameters = zstandard.get_frame_parameters(header)
    except zstandard.ZstdError as error:
        raise FrameError(f"not a zstd frame: {error}") from error
    if parameters.content_size in (zstandard.CONTENTSIZE_UNKNOWN, zstandard.CONTENTSIZE_ERROR):
        raise FrameError("a zstd frame does not state its size")
    if parameters.content_size > FRAME_BYTES:
        raise FrameError(f"a zstd frame is larger than {FRAME_BYTES} bytes")
    if not parameters.has_checksum:
        raise FrameError("a zstd frame has no checksum")
    return int(parameters.content_size)
