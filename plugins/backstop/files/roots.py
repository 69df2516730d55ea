"""Where a tree begins: what its paths and globs name on this machine now."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.errors import SourceError, SourceUnavailableError
from backstop.files.exclusion import has_magic, translate
from backstop.files.names import is_ours
from backstop.model.file_tree import EntryKind, shown, sort_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_KINDS = {
    stat.S_IFREG: EntryKind.FILE,
    stat.S_IFDIR: EntryKind.DIRECTORY,
    stat.S_IFLNK: EntryKind.SYMLINK,
    stat.S_IFIFO: EntryKind.FIFO,
}


@dataclass(frozen=True, slots=True)
class Root:
    """One thing that a pattern names.

    :param pattern: as configured.
    :param path: absolute, without the leading ``/``.
    :param inside: of something found later: the root in which it lies; below that no link is followed.
    """

    pattern: str
    path: bytes
    kind: EntryKind
    inside: bytes = b""

    def open_folder(self) -> int:
        """What it lies in, for the caller to close; good for nothing but reaching it.

        :raises OSError: it is not there, or is reached by a link only.
        """
        above = self.path.rpartition(b"/")[0]
        if not self.inside:
            return os.open(b"/" + above, _FOLDER)
        folder = os.open(b"/" + self.inside, _FOLDER)
        for name in above[len(self.inside) :].split(b"/")[1:]:
            outer = folder
            try:
                folder = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=outer)
            finally:
                os.close(outer)
        return folder


def kind_of(mode: int) -> EntryKind | None:
    """Of ``st_mode``; None: nothing that is kept, such as a socket."""
    return _KINDS.get(stat.S_IFMT(mode))


def find_roots(patterns: Sequence[str]) -> tuple[Root, ...]:
    """Everything that the patterns name, in the order of a list, each once.

    A glob may match nothing; ``*`` matches no hidden name, as in a shell.

    :param patterns: absolute paths and globs.
    :raises SourceError: a path without a glob is not there, or leads to a folder by a symbolic link, which
        would be all that is backed up; a folder cannot be read; nothing named is a kind that is kept.
    """
    found: dict[bytes, Root] = {}
    for pattern in patterns:
        for path in _matches(pattern):
            root = _root(pattern, path)
            if root is not None:
                found.setdefault(root.path, root)
    return tuple(found[path] for path in sorted(found, key=sort_key))


def outermost(roots: Sequence[Root]) -> tuple[Root, ...]:
    """Without those that lie in another."""
    folders = [root.path + b"/" for root in roots]
    return tuple(root for root in roots if not root.path.startswith(tuple(folders)))


def _root(pattern: str, path: bytes) -> Root | None:
    try:
        mode = os.lstat(path).st_mode
    except OSError as error:
        if has_magic(pattern) and isinstance(error, FileNotFoundError | NotADirectoryError):
            return None  # it has gone since it was listed
        raise _unusable(path, error) from error
    kind = kind_of(mode)
    if kind is None:
        if has_magic(pattern):
            return None
        raise SourceError(
            f"{shown(path[1:])} is a socket or a device", hint="name a file or a folder in the tree's paths"
        )
    if kind is EntryKind.SYMLINK and not has_magic(pattern) and os.path.isdir(path):  # noqa: PTH112 bytes
        raise SourceError(
            f"{shown(path[1:])} is a symbolic link to a folder: the link alone would be backed up",
            hint=f"name {shown(os.path.realpath(path)[1:])} in the tree's paths",
        )
    return Root(pattern, path[1:], kind)


def _matches(pattern: str) -> Iterator[bytes]:
    """Absolute paths; those of a pattern without a glob may not be there."""
    parts = [part for part in pattern.split("/") if part]
    return _below(b"/", parts, pattern)


def _below(folder: bytes, parts: Sequence[str], pattern: str) -> Iterator[bytes]:
    literal = next((at for at, part in enumerate(parts) if has_magic(part)), len(parts))
    folder = os.path.join(folder, *map(os.fsencode, parts[:literal]))  # noqa: PTH118 bytes
    if literal == len(parts):
        if not has_magic(pattern) or os.path.lexists(folder):
            yield folder
        return
    matches = re.compile(translate(parts[literal]), re.DOTALL).fullmatch
    for name in _names(folder):
        if matches(name) and (not name.startswith(b".") or parts[literal].startswith(".")):
            yield from _below(os.path.join(folder, name), parts[literal + 1 :], pattern)  # noqa: PTH118


def _names(folder: bytes) -> list[bytes]:
    try:
        return sorted(name for name in os.listdir(folder) if not is_ours(name))  # noqa: PTH208 bytes
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise _unusable(folder, error) from error


def _unusable(path: bytes, error: OSError) -> SourceError:
    name = shown(path[1:])
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return SourceError(
            f"{name} is not there: an empty backup in its place would look like the truth",
            hint="see that it is mounted; should it be gone for good, take it out of the tree's paths",
        )
    if isinstance(error, PermissionError):
        return SourceError(
            f"{name} cannot be read by uid {os.geteuid()}: {error.strerror}",
            hint="let this user read it, or back up as one that can",
        )
    return SourceUnavailableError(f"{name} cannot be read: {error.strerror}", hint="see what its disk says")
