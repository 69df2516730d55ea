"""Being told by the kernel that something in a tree may have changed.

A notice is a reason to look, never more: what has changed, if anything, is found by looking.

By inotify itself, not by ``watchfiles``: there any access to a name that is not UTF-8, such as our own look
at it, ends the watcher (1.3.0).
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from glob import has_magic
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from inotify_simple import INotify, flags

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from inotify_simple import Event

_TICK_SECONDS = 0.5
# Reading is no change; what programs do with a file that has no name any more is none of the tree's.
_WHAT = (
    flags.CREATE | flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO | flags.MODIFY | flags.CLOSE_WRITE
    | flags.ATTRIB | flags.DELETE_SELF | flags.MOVE_SELF
    | flags.ONLYDIR | flags.DONT_FOLLOW | flags.EXCL_UNLINK
)  # fmt: skip
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.EACCES)


@dataclass(frozen=True, slots=True)
class Place:
    """A folder that is watched: the inode too, because another may take its name.

    :param whole: with everything below it; otherwise only the names in it.
    """

    path: bytes
    inode: tuple[int, int]
    whole: bool


def places_of(patterns: Sequence[str]) -> frozenset[Place]:
    """What to watch for a tree: its folders, and the folders in which its paths come and go."""
    found: set[Place] = set()
    for pattern in map(Path, patterns):
        for path in _matches(pattern):
            if path.is_dir() and not path.is_symlink():
                _add(found, path, whole=True)
            # Whoever saves a file by renaming a new one over it leaves no event on the old.
            _add(found, _existing(path.parent), whole=False)
        _add(found, _existing(_fixed_part(pattern)), whole=False)
    return frozenset(found)


def _matches(pattern: Path) -> list[Path]:
    """As Path.glob sees it, hidden names among them."""
    fixed = _fixed_part(pattern)
    return list(fixed.glob(str(pattern.relative_to(fixed))))


def _fixed_part(pattern: Path) -> Path:
    while has_magic(str(pattern.parent)):
        pattern = pattern.parent
    return pattern.parent


def _existing(folder: Path) -> Path:
    while not folder.is_dir():
        folder = folder.parent
    return folder


def _add(places: set[Place], path: Path, *, whole: bool) -> None:
    with suppress(OSError):
        status = path.stat()
        places.add(Place(os.fsencode(path), (status.st_dev, status.st_ino), whole))


class Notices:
    """Watches a tree's paths while it lasts.

    :param left_out: whether a path inside its folders is none of the tree's, nor what is below it.
    :raises OSError: also from its methods: the kernel watches no more folders
        (``fs.inotify.max_user_watches``), or none at all.
    """

    def __init__(
        self, patterns: Sequence[str], *, left_out: Callable[[bytes], bool] = lambda _: False
    ) -> None:
        self._patterns = patterns
        self._left_out = left_out
        self._places: frozenset[Place] = frozenset()
        self._queue = INotify()
        self._folders: dict[int, Place] = {}
        self._stale = True
        self.refresh()

    @property
    def folders(self) -> int:
        """How many are watched."""
        return len(self._folders)

    def refresh(self) -> None:
        """Watch what the paths are now: folders may have come, gone, or been exchanged.

        Whoever looks at the tree afterwards misses nothing: what changes from now on is noticed.
        """
        places = places_of(self._patterns)
        if places == self._places and not self._stale:
            return
        self.close()
        self._queue, self._folders = INotify(), {}
        for place in sorted(places, key=lambda one: one.whole):
            self._watch(place)
        self._places, self._stale = places, False

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        """Whether there was a notice; returns at the first, after so many seconds, or when told to stop."""
        ends = time.monotonic() + seconds
        while not stop.is_set():
            left = ends - time.monotonic()
            events = self._queue.read(timeout=int(1000 * max(0.0, min(_TICK_SECONDS, left))))
            told = [self._tells(event) for event in events]  # each one: new folders have to be watched
            if any(told):
                return True
            if left <= 0:
                break
        return False

    def close(self) -> None:
        self._queue.close()
        self._stale = True

    def _tells(self, event: Event) -> bool:
        if event.mask & flags.Q_OVERFLOW:
            self._stale = True
            return True
        place = self._folders.get(event.wd)
        if place is None:
            return False
        if event.mask & flags.IGNORED:
            del self._folders[event.wd]
            return True
        path = b"/".join((place.path, os.fsencode(event.name))) if event.name else place.path
        if self._left_out(path) if place.whole else not self._concerns(path):
            return False
        if event.mask & flags.ISDIR:
            if event.mask & flags.MOVED_FROM:
                self._stale = True  # what is below it is watched under a name that it no longer has
            elif place.whole and event.mask & (flags.CREATE | flags.MOVED_TO):
                self._watch(Place(path, (0, 0), whole=True))
        return True

    def _watch(self, place: Place) -> None:
        """The folder and, of a whole one, those below it; what is gone again meanwhile has left a notice."""
        waiting = [place.path]
        while waiting:
            folder = waiting.pop()
            try:
                number = self._queue.add_watch(folder, _WHAT)
            except OSError as error:
                if error.errno in _GONE:
                    continue
                raise
            self._folders[number] = Place(folder, place.inode, place.whole)
            if place.whole:
                waiting += self._below(folder)

    def _below(self, folder: bytes) -> list[bytes]:
        try:
            with os.scandir(folder) as entries:
                found = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError:
            return []
        return [path for path in found if not self._left_out(path)]

    def _concerns(self, path: bytes) -> bool:
        """Whether a name in a folder around the tree is one of the tree's, or leads there."""
        parts = PurePosixPath(os.fsdecode(path)).parts
        return any(all(map(fnmatchcase, parts, PurePosixPath(pattern).parts)) for pattern in self._patterns)
