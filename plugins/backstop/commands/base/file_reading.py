"""Reads the files of a running server as ``basebackup.c`` does, and checks their pages on the way.

A file is as long as it was when it was opened: what is added meanwhile is left out, what is cut off becomes
zeros; WAL brings back either. One that is gone is left out.
"""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.commands.base.file_parts import file_header, padding
from backstop.errors import BackstopError, SourceError
from backstop.postgres.file_access import file_error
from backstop.postgres.manifest_writing import CopiedFile

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from backstop.postgres.cluster_files import ClusterFile
    from backstop.postgres.page_checksums import PageChecksums

READ_BYTES = 2 * 1024 * 1024
_REREADS = 5
_PAUSE_SECONDS = 0.01
_NAMED_BLOCKS = 5
_ENOUGH_BLOCKS = 20
"""A file with so many damaged pages is read no further."""


@dataclass(slots=True)
class FileReading:
    """All files of one backup; for any number of threads.

    :param pages: None where the cluster has no checksums.
    :param segment_pages: how many pages each file of a relation has but the last.
    :param stop: ends every reading with an error.
    :param progress: told of every byte that was read.
    """

    pages: PageChecksums | None
    segment_pages: int
    stop: threading.Event
    progress: Callable[[int], None]
    files: dict[str, CopiedFile] = field(default_factory=dict)
    """What was read, by path in the data directory."""

    def member(self, prefix: str, file: ClusterFile) -> Iterator[bytes]:
        """A tar member: header, content, padding; nothing when the file is gone.

        :raises SourceError: it may not be read, cannot be, or has damaged pages: named.
        """
        from crc32c import crc32c

        try:
            with file_error(file.path):
                # Without waiting: a pipe in its place would have nobody at its other end.
                descriptor = os.open(file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return  # what was listed is gone
            size_bytes, modified_at = status.st_size, int(status.st_mtime)
            yield file_header(
                file.name,
                size_bytes=size_bytes,
                mode=status.st_mode & 0o7777,
                uid=status.st_uid,
                gid=status.st_gid,
                modified_at=modified_at,
            )
            checksum = 0
            for block in self._content(descriptor, file, prefix + file.name, size_bytes):
                checksum = crc32c(block, checksum)
                self.progress(len(block))
                yield block
            yield padding(size_bytes)
        finally:
            os.close(descriptor)
        self.files[prefix + file.name] = CopiedFile(size_bytes, checksum, modified_at)

    def _content(self, descriptor: int, file: ClusterFile, name: str, size_bytes: int) -> Iterator[bytes]:
        done_bytes = 0
        damaged: list[int] = []
        # The rule of basebackup.c: a file that is no run of whole pages is not judged.
        pages = self.pages if file.segment is not None else None
        if pages is not None and size_bytes % pages.page_bytes:
            pages = None
        while done_bytes < size_bytes and len(damaged) < _ENOUGH_BLOCKS:
            if self.stop.is_set():
                raise BackstopError("the base backup was given up", hint="the first error says why")
            with file_error(file.path):
                block = os.pread(descriptor, min(READ_BYTES, size_bytes - done_bytes), done_bytes)
                if not block:
                    break  # cut off meanwhile
                if pages is not None and len(block) % pages.page_bytes:
                    # A disk that answers with less than it was asked for: where pages begin in what follows
                    # is not where they are.
                    pages = None
                if pages is not None:
                    block = self._judged(pages, block, descriptor, file.segment or 0, done_bytes, damaged)
            done_bytes += len(block)
            yield block
        if damaged:
            raise _damaged_pages(name, damaged)
        while done_bytes < size_bytes:
            zeros = bytes(min(READ_BYTES, size_bytes - done_bytes))
            done_bytes += len(zeros)
            yield zeros

    def _judged(
        self,
        pages: PageChecksums,
        block: bytes,
        descriptor: int,
        segment: int,
        begin: int,
        damaged: list[int],
    ) -> bytes:
        """The block, with pages that were being written as they are afterwards; the wrong ones are noted."""
        page_bytes = pages.page_bytes
        in_file = begin // page_bytes
        in_relation = segment * self.segment_pages + in_file
        for place in pages.damaged(block, first_block=in_relation):
            for number in range(_REREADS):
                # Its first half may be from before, its second from after a write that was under way.
                time.sleep(number * _PAUSE_SECONDS)
                page = os.pread(descriptor, page_bytes, begin + place * page_bytes)
                if len(page) < page_bytes:
                    # Cut off meanwhile: what follows is padded.
                    return block[: place * page_bytes]
                if not pages.damaged(page, first_block=in_relation + place):
                    block = block[: place * page_bytes] + page + block[(place + 1) * page_bytes :]
                    break
            else:
                damaged.append(in_file + place)
                if len(damaged) == _ENOUGH_BLOCKS:
                    break
        return block


def _damaged_pages(name: str, blocks: list[int]) -> SourceError:
    named = ", ".join(str(block) for block in blocks[:_NAMED_BLOCKS])
    more = ", …" if len(blocks) > _NAMED_BLOCKS else ""
    return SourceError(
        f"damaged pages: checksum verification failed in file {name}, "
        f"block{'s' if len(blocks) > 1 else ''} {named}{more}",
        hint="its disk or memory damages data: check it, then repair or restore what the file belongs to; "
        "earlier backups are untouched",
    )
