"""Following pg_dump's directory while it is being written, so that nothing waits for the whole dump.

pg_dump's directory format (PostgreSQL docs, pg_dump, ``-F d``) opens every data file once, writes it, and
closes it; ``toc.dat`` comes last. The kernel's inotify says exactly when a file was closed, so a reader can
tell "no more yet" from "no more ever" without guessing. What has been read is given back to the file system
at once (hole punching), so that one huge table needs little disk.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import threading
from collections import deque
from typing import TYPE_CHECKING, BinaryIO, cast

from backstop.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

SMALL_FILE_BYTES = 1024 * 1024
_PUNCH_EVERY_BYTES = 16 * 1024 * 1024
_FALLOC_FL_KEEP_SIZE = 1
_FALLOC_FL_PUNCH_HOLE = 2
_POLL_MS = 50
TOC = "toc.dat"


class DumpFile:
    """One data file of the dump: where it is, and whether pg_dump has closed it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.closed = False
        self.handed_out = False

    @property
    def name(self) -> str:
        return self.path.name


class DumpFollower:
    """Hands out a dump directory's files as pg_dump makes them.

    A file comes out once it is closed or has outgrown :data:`SMALL_FILE_BYTES`; ``toc.dat`` never does. Use
    as a context manager around the pg_dump run; call :meth:`finish` once pg_dump has exited 0, or
    :meth:`abort` when anything failed. Thread-safe.
    """

    def __init__(self, directory: Path) -> None:
        from inotify_simple import INotify, flags

        self._directory = directory
        self._condition = threading.Condition()
        self._files: dict[str, DumpFile] = {}
        self._ready: deque[DumpFile] = deque()
        self._finished = False
        self._aborted = False
        self._close_write = int(flags.CLOSE_WRITE)
        self._stop = threading.Event()
        self._inotify = INotify()
        self._inotify.add_watch(str(directory), flags.CREATE | flags.MODIFY | flags.CLOSE_WRITE)
        self._thread = threading.Thread(target=self._watch, name="dump-follower", daemon=True)

    def __enter__(self) -> DumpFollower:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()
        self._inotify.close()

    def finish(self) -> None:
        """pg_dump has exited 0: every file that is there is complete."""
        self._stop_watching()
        with self._condition:
            # The directory has the last word, in case the kernel's event queue overflowed.
            for path in sorted(self._directory.iterdir()):
                if path.name != TOC:
                    file = self._files.setdefault(path.name, DumpFile(path))
                    file.closed = True
                    self._hand_out(file)
            self._finished = True
            self._condition.notify_all()

    def abort(self) -> None:
        """Whoever waits for more gets an error instead of an end of file. Harmless after finish()."""
        self._stop_watching()
        with self._condition:
            self._aborted = not self._finished
            self._condition.notify_all()

    def files(self) -> Iterator[DumpFile]:
        """Files as they become ready; several threads may iterate, each file comes out once."""
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._ready or self._finished or self._aborted)
                self._refuse_if_aborted()
                if not self._ready:
                    return
                file = self._ready.popleft()
            yield file

    def open(self, file: DumpFile) -> BinaryIO:
        """Read a file from its start to where pg_dump closed it, giving its space back meanwhile."""
        stream = GrowingFile(file.path, wait_for_more=lambda position: self._wait_for_more(file, position))
        return cast("BinaryIO", stream)

    def _wait_for_more(self, file: DumpFile, position: int) -> bool:
        """Block until the file is longer than ``position`` (True) or complete (False)."""
        with self._condition:
            while True:
                self._refuse_if_aborted()
                # Closed is read before the size: pg_dump writes first and closes then, so the size of a
                # closed file is final.
                closed = file.closed
                if file.path.stat().st_size > position:
                    return True
                if closed:
                    return False
                self._condition.wait()

    def _refuse_if_aborted(self) -> None:
        if self._aborted:
            raise SourceError("the dump was given up", hint="the first error says why")

    def _stop_watching(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        # What is still in the queue when we stop does not matter: either pg_dump has ended and the directory
        # itself is read, or nobody wants its files any more. (A marker file would need room on the disk.)
        while not self._stop.is_set():
            for event in self._inotify.read(timeout=_POLL_MS):
                if event.name and event.name != TOC:
                    self._note(event.name, closed=bool(event.mask & self._close_write))

    def _note(self, name: str, *, closed: bool) -> None:
        with self._condition:
            file = self._files.setdefault(name, DumpFile(self._directory / name))
            file.closed = file.closed or closed
            if file.closed or (not file.handed_out and file.path.stat().st_size >= SMALL_FILE_BYTES):
                self._hand_out(file)
            self._condition.notify_all()

    def _hand_out(self, file: DumpFile) -> None:
        if not file.handed_out:
            file.handed_out = True
            self._ready.append(file)


class GrowingFile(io.RawIOBase):
    """A file that pg_dump may still be writing, read forward once.

    ``read`` blocks for more and returns ``b""`` only at the real end. Space already read is freed where the
    file system can; where it cannot, the file keeps its size until it is removed.
    """

    def __init__(self, path: Path, *, wait_for_more: Callable[[int], bool]) -> None:
        super().__init__()
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._wait_for_more = wait_for_more
        self._position = 0
        self._freed = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            raise ValueError("a growing file is read in pieces; give a size")
        if size == 0:
            return b""
        while not (piece := os.read(self._descriptor, size)):
            if not self._wait_for_more(self._position):
                return b""
        self._position += len(piece)
        if self._position - self._freed >= _PUNCH_EVERY_BYTES:
            _punch_hole(self._descriptor, self._freed, self._position - self._freed)
            self._freed = self._position
        return piece

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()


_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


def _punch_hole(descriptor: int, offset: int, length: int) -> None:
    # Best effort: a file system without holes (EOPNOTSUPP) only costs disk until the file is removed.
    with contextlib.suppress(AttributeError):
        _libc.fallocate(descriptor, _FALLOC_FL_PUNCH_HOLE | _FALLOC_FL_KEEP_SIZE, offset, length)
