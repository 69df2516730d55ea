"""Writes the members of an archive into a new directory, where no name in it can lead out again.

Links are made last: until then every folder on the way to a file is one that was made here.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.errors import IntegrityError
from backstop.files.directories import FOLDER, Directories
from backstop.files.ownership import may_give

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backstop.commands.legacy.archive import Archive, Member

_PRIVATE = 0o700
_MOST_LEVELS = 200
_LONGEST_NAME_BYTES = 255  # NAME_MAX of Linux
_LONGEST_LINK_BYTES = 4095  # its PATH_MAX, less the final zero


@dataclass(slots=True)
class Unpacked:
    """What was written.

    :param not_made: what was left out (devices, FIFOs), one sentence each.
    :param owners_kept: whether everything belongs to whom the archive says; only root may do that.
    """

    files: int = 0
    bytes: int = 0
    links: int = 0
    folders: int = 0
    not_made: list[str] = field(default_factory=list)
    owners_kept: bool = True


def unpack(
    archive: Archive, destination: Path, *, name: str, written: Callable[[bytes, str], None]
) -> Unpacked:
    """Unpack everything into an existing, empty, private directory.

    Owners are numbers, and given where this process may; where it may not, set-user-id bits go, too.

    :param name: of the archive, for errors.
    :param written: told of each file, its path below the directory and the SHA-256 of what it should hold.
    :raises IntegrityError: a name is absolute or leads out, or the archive is not whole.
    """
    top = os.open(destination, FOLDER)
    try:
        with Directories(top) as folders:
            work = _Unpacking(folders, name, written)
            for member in archive:
                work.take(member, archive)
            work.finish()
    finally:
        os.close(top)
    return work.done


class _Unpacking:
    def __init__(self, folders: Directories, name: str, written: Callable[[bytes, str], None]) -> None:
        self.done = Unpacked()
        self._folders = folders
        self._name = name
        self._written = written
        self._symlinks: list[tuple[list[bytes], Member]] = []
        self._described: dict[bytes, Member] = {}

    def take(self, member: Member, archive: Archive) -> None:
        parts = self._parts(member.name)
        if not parts and member.kind != "directory":
            raise self._hostile(member.name, "is no name of a file")
        if member.kind == "directory":
            self._make(parts)
            self._described[b"/".join(parts)] = member
        elif member.kind == "file":
            self._file(parts, member, archive)
        elif member.kind == "hard link":
            self._hard_link(parts, self._parts(member.link) or [b"."])
        elif member.kind == "symlink":
            if not member.link or b"\0" in member.link or len(member.link) > _LONGEST_LINK_BYTES:
                raise self._hostile(member.name, "is a link to what is no name of a file")
            self._symlinks.append((parts, member))
        else:
            self.done.not_made.append(f"{member.kind} {_shown(member.name)} was not made")

    def finish(self) -> None:
        """Links, then what folders look like: nothing is written into them any more."""
        for parts, member in self._symlinks:
            above = self._make(parts[:-1])
            try:
                os.symlink(member.link, parts[-1], dir_fd=above)
            except FileExistsError:
                raise self._hostile(member.name, "is a link, and something else as well") from None
            self._give(parts[-1], above, member)
            self.done.links += 1
        self.done.folders = len(self._described)
        for path in sorted(self._described, reverse=True):
            member = self._described[path]
            parts = path.split(b"/") if path else []
            folder = self._folders.at(parts)
            kept = self._give(b".", folder, member)
            # The top stays closed to others: whoever restored moves the files where they belong.
            if parts:
                os.fchmod(folder, member.mode if kept else member.mode & 0o777)
            os.utime(folder, (member.mtime, member.mtime))

    def _file(self, parts: list[bytes], member: Member, archive: Archive) -> None:
        above = self._make(parts[:-1])
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._clear(parts, above, member)
        descriptor = os.open(parts[-1], flags, 0o600, dir_fd=above)
        digest = hashlib.sha256()
        with os.fdopen(descriptor, "wb") as file:
            for piece in archive.content():
                digest.update(piece)
                file.write(piece)
            file.flush()
            kept = self._give(parts[-1], above, member)
            os.fchmod(file.fileno(), member.mode if kept else member.mode & 0o777)
            os.utime(file.fileno(), (member.mtime, member.mtime))
        self._written(b"/".join(parts), digest.hexdigest())
        self.done.files += 1
        self.done.bytes += member.size_bytes

    def _clear(self, parts: list[bytes], above: int, member: Member) -> None:
        """An archive that was appended to holds a file twice: the last one counts, as with tar."""
        try:
            found = os.stat(parts[-1], dir_fd=above, follow_symlinks=False)
        except FileNotFoundError:
            return
        if stat.S_ISDIR(found.st_mode):
            raise self._hostile(member.name, "is a folder, and something else as well")
        os.unlink(parts[-1], dir_fd=above)

    def _hard_link(self, parts: list[bytes], target: list[bytes]) -> None:
        try:
            # Opened twice: the second way may lead through the folders that hold the first open.
            source = os.dup(self._folders.at(target[:-1]))
        except OSError as error:
            raise self._hostile(b"/".join(parts), "is a link to nothing") from error
        try:
            above = self._make(parts[:-1])
            if not stat.S_ISREG(os.stat(target[-1], dir_fd=source, follow_symlinks=False).st_mode):
                raise self._hostile(b"/".join(parts), "is a hard link to something that is no file")
            os.link(target[-1], parts[-1], src_dir_fd=source, dst_dir_fd=above, follow_symlinks=False)
        except (FileNotFoundError, FileExistsError) as error:
            raise self._hostile(b"/".join(parts), f"cannot be linked: {error.strerror}") from error
        finally:
            os.close(source)
        self.done.links += 1

    def _make(self, parts: list[bytes]) -> int:
        """The folder of that path, made where it is not there yet."""
        for depth in range(len(parts) + 1):
            try:
                folder = self._folders.at(parts[:depth])
            except FileNotFoundError:
                os.mkdir(parts[depth - 1], _PRIVATE, dir_fd=self._folders.at(parts[: depth - 1]))
                folder = self._folders.at(parts[:depth])
        return folder

    def _give(self, name: bytes, above: int, member: Member) -> bool:
        if may_give(member.uid, member.gid):
            try:
                os.chown(name, member.uid, member.gid, dir_fd=above, follow_symlinks=False)
                return True
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.EINVAL):
                    raise
        self.done.owners_kept = False
        return False

    def _parts(self, name: bytes) -> list[bytes]:
        if name.startswith(b"/"):
            raise self._hostile(name, "is absolute")
        parts = [part for part in name.split(b"/") if part not in (b"", b".")]
        if b".." in parts or b"\0" in name:
            raise self._hostile(name, "leads out of the archive")
        if len(parts) > _MOST_LEVELS:
            raise self._hostile(name[:_LONGEST_NAME_BYTES], f"lies too deep: more than {_MOST_LEVELS} levels")
        if any(len(part) > _LONGEST_NAME_BYTES for part in parts):
            raise self._hostile(name[:_LONGEST_NAME_BYTES], f"is longer than {_LONGEST_NAME_BYTES} bytes")
        return parts

    def _hostile(self, name: bytes, why: str) -> IntegrityError:
        return IntegrityError(
            f"{self._name}: {_shown(name)} {why}",
            hint="look at it with `tar -tvzf`; nothing outside of the new directory was touched",
        )


def _shown(name: bytes) -> str:
    return repr(name.decode("utf-8", "backslashreplace"))
