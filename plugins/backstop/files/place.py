"""Makes the files of a tree below one folder that nobody else can enter.

Every name is made anew (``O_EXCL``), through folders that are opened step by step without following a link:
whatever a list of files says, nothing outside of that folder is touched.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from backstop.errors import IntegrityError
from backstop.files.directories import BELOW, Directories
from backstop.files.metadata import give, give_link
from backstop.model.file_tree import Entry, EntryKind, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstop.files.ownership import Ownership
    from backstop.files.shortfalls import Shortfalls

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_AGAIN = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class Placer:
    """One thread's hands in a folder. ``parts`` are the names that lead there, the file's own last.

    Folders are private to us until :meth:`finish_directory`, which comes after all that is in them; a file is
    private until it is whole.

    :param top: descriptor of the folder.
    """

    def __init__(self, top: int, *, owner: Ownership, shortfalls: Shortfalls) -> None:
        self._folders = Directories(top)
        self._owner = owner
        self._shortfalls = shortfalls

    def close(self) -> None:
        self._folders.close()

    def directory(self, parts: Sequence[bytes], *, mode: int = 0o700) -> None:
        os.mkdir(parts[-1], mode, dir_fd=self._folders.at(parts[:-1]))

    def symlink(self, parts: Sequence[bytes], entry: Entry) -> None:
        folder = self._folders.at(parts[:-1])
        os.symlink(entry.link_target, parts[-1], dir_fd=folder)
        give_link(folder, parts[-1], entry, owner=self._owner, shortfalls=self._shortfalls)

    def fifo(self, parts: Sequence[bytes], entry: Entry) -> None:
        folder = self._folders.at(parts[:-1])
        os.mkfifo(parts[-1], 0o600, dir_fd=folder)
        # Without O_NONBLOCK it would wait for a writer.
        descriptor = os.open(
            parts[-1], os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder
        )
        self._finish(descriptor, entry)

    def whole_file(self, parts: Sequence[bytes], entry: Entry, offset: int, content: memoryview) -> None:
        """A file with at most one piece; the rest of its size is a hole."""
        descriptor = os.open(parts[-1], _NEW, 0o600, dir_fd=self._folders.at(parts[:-1]))
        try:
            _write(descriptor, offset, content)
            if entry.size_bytes != offset + len(content):
                _set_size(descriptor, entry)
        except BaseException:
            os.close(descriptor)
            raise
        self._finish(descriptor, entry)

    def begin_file(self, parts: Sequence[bytes], entry: Entry) -> None:
        """A file whose pieces come later, in any order."""
        descriptor = os.open(parts[-1], _NEW, 0o600, dir_fd=self._folders.at(parts[:-1]))
        try:
            _set_size(descriptor, entry)
        finally:
            os.close(descriptor)

    def piece(self, parts: Sequence[bytes], offset: int, content: memoryview) -> None:
        descriptor = os.open(parts[-1], _AGAIN, dir_fd=self._folders.at(parts[:-1]))
        try:
            _write(descriptor, offset, content)
        finally:
            os.close(descriptor)

    def finish_file(self, parts: Sequence[bytes], entry: Entry) -> None:
        """All pieces are there."""
        self._finish(os.open(parts[-1], _AGAIN, dir_fd=self._folders.at(parts[:-1])), entry)

    def hard_link(self, parts: Sequence[bytes], entry: Entry, source: int, name: bytes) -> None:
        """:param source: descriptor of the folder that has the file called ``name``.

        :raises IntegrityError: there is no such file.
        """
        folder = self._folders.at(parts[:-1])
        try:
            os.link(name, parts[-1], src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)
        except (FileNotFoundError, PermissionError):
            # A folder cannot be linked to.
            raise IntegrityError(
                f"{shown(entry.path)} is a hard link to {shown(entry.hard_link)}, no file of the backup",
                hint="choose another backup",
            ) from None

    def finish_directory(self, parts: Sequence[bytes], entry: Entry) -> None:
        """Nothing is made in it any more."""
        # The cache may hold this folder open; its permissions do not matter to an open descriptor.
        self._finish(os.open(parts[-1], BELOW, dir_fd=self._folders.at(parts[:-1])), entry)

    def _finish(self, descriptor: int, entry: Entry) -> None:
        try:
            give(descriptor, entry, owner=self._owner, shortfalls=self._shortfalls)
        finally:
            os.close(descriptor)


def make(placer: Placer, parts: Sequence[bytes], entry: Entry) -> bool:
    """Make what needs no content; whether that was all there is to do for it now."""
    if entry.kind is EntryKind.DIRECTORY:
        placer.directory(parts)
        return False
    if entry.kind is EntryKind.SYMLINK:
        placer.symlink(parts, entry)
    elif entry.kind is EntryKind.FIFO:
        placer.fifo(parts, entry)
    elif not entry.chunks:
        placer.whole_file(parts, entry, 0, memoryview(b""))
    else:
        return False
    return True


def _write(descriptor: int, offset: int, content: memoryview) -> None:
    while content:
        written = os.pwrite(descriptor, content, offset)
        offset += written
        content = content[written:]


def _set_size(descriptor: int, entry: Entry) -> None:
    try:
        os.ftruncate(descriptor, entry.size_bytes)
    except OverflowError as error:
        raise IntegrityError(
            f"the backup gives {shown(entry.path)} {entry.size_bytes} bytes", hint="choose another backup"
        ) from error
