"""A walk in the order of a list, by open folders: what is exchanged meanwhile does not lead elsewhere."""

from __future__ import annotations

import errno
import os
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.errors import SourceError
from backstop.files.content import settled
from backstop.files.names import is_ours, is_staging
from backstop.files.roots import Root, kind_of
from backstop.model.file_tree import EntryKind, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from backstop.files.exclusion import Exclusion

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that is not in the walk, and why.

    :param unreadable: it should be, but this user cannot read it.
    :param gone: it was there a moment ago.
    """

    path: bytes
    why: str
    unreadable: bool = False
    gone: bool = False

    def __str__(self) -> str:
        return f"{shown(self.path)} ({self.why})"


@dataclass(slots=True)
class Found:
    """One file or folder, open as long as nothing further is asked of the walk.

    :param folder: the open folder it lies in.
    :param descriptor: of a folder itself; else -1.
    """

    path: bytes
    name: bytes
    kind: EntryKind
    status: os.stat_result
    folder: int
    descriptor: int = -1


@dataclass(slots=True)
class _Level:
    descriptor: int
    path: bytes
    names: Iterator[bytes]
    device: int


class SortedWalk:
    """Everything at and below the roots, as it is when it is come to.

    :param on_skip: told of what is left out, other than by exclusion.
    """

    def __init__(
        self,
        roots: Sequence[Root],
        *,
        exclusion: Exclusion,
        one_file_system: bool,
        on_skip: Callable[[Skipped], object],
    ) -> None:
        self._roots = roots
        self._exclusion = exclusion if exclusion else None
        self._one_file_system = one_file_system
        self._skip = on_skip
        self._named = {root.path for root in roots}
        self._walked: set[bytes] = set()

    def __iter__(self) -> Iterator[Found]:
        for root in self._roots:
            if root.path not in self._walked:
                yield from self._from_root(root)

    def _from_root(self, root: Root) -> Iterator[Found]:
        self._walked.add(root.path)
        above, _, name = root.path.rpartition(b"/")
        try:
            folder = root.open_folder()
        except OSError as error:
            self._failed(root.path, error)
            return
        try:
            yield from self._walk(_Level(folder, above, iter([name]), -1))
        finally:
            os.close(folder)

    def _walk(self, top: _Level) -> Iterator[Found]:
        levels = [top]
        try:
            while levels:
                level = levels[-1]
                name = next(level.names, None)
                if name is None:
                    levels.pop()
                    if levels:
                        os.close(level.descriptor)
                    continue
                path = b"%b/%b" % (level.path, name) if level.path else name
                found = self._look(level, name, path)
                if found is not None and path in self._named:
                    self._walked.add(path)
                if found is None:
                    yield from self._roots_below(path)
                elif found.kind is not EntryKind.DIRECTORY:
                    yield found
                else:
                    deeper = self._enter(level, found)
                    if deeper is not None:
                        levels.append(deeper)
                    yield found
                    if deeper is None:
                        self._walked.add(path)
                        yield from self._roots_below(path)
        finally:
            for level in levels[1:]:
                os.close(level.descriptor)

    def _look(self, level: _Level, name: bytes, path: bytes) -> Found | None:
        if level.device != -1:
            if self._exclusion and self._exclusion.covers(path, name):
                return None
            if is_ours(name):
                if not is_staging(name):
                    self._skip(Skipped(path, "a restore has replaced it"))
                return None
        try:
            status = os.stat(name, dir_fd=level.descriptor, follow_symlinks=False)
        except OSError as error:
            self._failed(path, error)
            return None
        kind = kind_of(status.st_mode)
        if kind is None:
            self._skip(Skipped(path, "a socket" if stat.S_ISSOCK(status.st_mode) else "a device"))
            return None
        return Found(path, name, kind, status, level.descriptor)

    def _enter(self, level: _Level, found: Found) -> _Level | None:
        """Open a folder; what is known of it is then true of what was opened."""
        device = found.status.st_dev
        elsewhere = level.device not in (-1, device) and found.path not in self._named
        if self._one_file_system and elsewhere:
            self._skip(Skipped(found.path, "another file system is mounted here"))
            return None
        try:
            descriptor = os.open(found.name, _FOLDER, dir_fd=level.descriptor)
        except OSError as error:
            self._failed(found.path, error)
            return None
        try:
            # Before the names are read: what comes in later is later than this, by its ctime too.
            found.status, _ = settled(descriptor, time.sleep)
            names = sorted(map(os.fsencode, os.listdir(descriptor)))  # noqa: PTH208
        except OSError as error:
            os.close(descriptor)
            self._failed(found.path, error)
            return None
        found.descriptor = descriptor
        return _Level(descriptor, found.path, iter(names), device)

    def _roots_below(self, path: bytes) -> Iterator[Found]:
        """What is named for itself is walked though the folder around it is not.

        The folders that lead to it are part of the list then: whatever is listed has its folder listed.
        """
        for root in self._roots:
            if root.path not in self._walked and (root.path + b"/").startswith(path + b"/"):
                for end in range(path.count(b"/") + 1, root.path.count(b"/") + 1):
                    yield from self._bare(b"/".join(root.path.split(b"/")[:end]))
                yield from self._from_root(root)

    def _bare(self, path: bytes) -> Iterator[Found]:
        """A folder without what is in it."""
        if path in self._walked:
            return
        self._walked.add(path)
        above, _, name = path.rpartition(b"/")
        try:
            folder = Root("*", path, EntryKind.DIRECTORY).open_folder()
        except OSError as error:
            self._failed(path, error)
            return
        try:
            found = self._look(_Level(folder, above, iter(()), -1), name, path)
            if found is not None:
                yield found
        finally:
            os.close(folder)

    def _failed(self, path: bytes, error: OSError) -> None:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise SourceError(
                f"{shown(path)} lies deeper than files may be open at a time", hint="raise `ulimit -n`"
            ) from error
        self._skip(skipped_for(path, error))


def skipped_for(path: bytes, error: OSError) -> Skipped:
    """Why a file could not be opened or read; it may also have gone, or become something else."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE, errno.ENXIO):
        return Skipped(path, "went away while it was backed up", gone=True)
    return Skipped(path, (error.strerror or str(error)).lower(), unreadable=True)
