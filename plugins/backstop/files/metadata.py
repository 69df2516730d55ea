"""Owner, mode, extended attributes and times: given to a file that we made, and read again to compare."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from backstop.errors import IntegrityError
from backstop.files.shortfalls import OWNER, SETUID, xattr_kind
from backstop.model.file_time import shown_time
from backstop.model.file_tree import Entry, EntryKind, shown, shown_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backstop.files.ownership import Ownership
    from backstop.files.shortfalls import Shortfalls

ACCESS_ACL = "system.posix_acl_access"
DEFAULT_ACL = "system.posix_acl_default"
_REFUSED = (errno.EPERM, errno.EACCES, errno.ENOTSUP)
_NAME_MOST_BYTES, _VALUE_MOST_BYTES = 255, 64 * 1024
_SOME_ROOM_BYTES = 4 * 1024 * 1024
_SPECIAL = stat.S_ISUID | stat.S_ISGID
_FORMATS = {
    EntryKind.FILE: stat.S_IFREG,
    EntryKind.DIRECTORY: stat.S_IFDIR,
    EntryKind.SYMLINK: stat.S_IFLNK,
    EntryKind.FIFO: stat.S_IFIFO,
}


def give(descriptor: int, entry: Entry, *, owner: Ownership, shortfalls: Shortfalls) -> None:
    """Everything but its content, to an open file, folder or FIFO that belongs to us.

    :raises IntegrityError: the backup says what no file can have.
    """
    uid, gid = owner.of(entry)
    mode = entry.mode
    if entry.kind is EntryKind.FILE:
        # A program that ran as whoever it belonged to must not run as whom everything is given to.
        mode &= ~(stat.S_ISUID if uid != entry.uid else 0) & ~(stat.S_ISGID if gid != entry.gid else 0)
        if mode != entry.mode:
            shortfalls.add(SETUID, entry.path)
    try:
        # The owner first: a change of it takes setuid and capabilities away.
        try:
            os.fchown(descriptor, uid, gid)
        except PermissionError:
            shortfalls.add(OWNER, entry.path)
            if mode & _SPECIAL and entry.kind is EntryKind.FILE:
                # A program that ran as somebody else must not run as us instead.
                shortfalls.add(SETUID, entry.path)
                mode &= ~_SPECIAL
        for name, value in entry.xattrs:
            _set_xattr(descriptor, name, value, entry.path, shortfalls)
        os.fchmod(descriptor, mode)
        os.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))
    except (OverflowError, ValueError) as error:
        raise _impossible(entry, error) from error


def give_link(folder: int, name: bytes, entry: Entry, *, owner: Ownership, shortfalls: Shortfalls) -> None:
    """The same for a symbolic link, which has no mode of its own."""
    uid, gid = owner.of(entry)
    try:
        try:
            os.chown(name, uid, gid, dir_fd=folder, follow_symlinks=False)
        except PermissionError:
            shortfalls.add(OWNER, entry.path)
        for attribute, value in entry.xattrs:
            _set_xattr(_path(folder, name), attribute, value, entry.path, shortfalls)
        os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=folder, follow_symlinks=False)
    except (OverflowError, ValueError) as error:
        raise _impossible(entry, error) from error


def drop_acls(folder: int) -> None:
    """Of a new folder of ours: what is made in it shall inherit no ACL from the folder it lies in."""
    for name in (ACCESS_ACL, DEFAULT_ACL):
        try:
            os.removexattr(folder, name)
        except OSError as error:
            if error.errno not in (errno.ENODATA, *_REFUSED):
                raise


def differences(
    folder: int, name: bytes, entry: Entry, *, owner: Ownership, excused: frozenset[str] = frozenset()
) -> Iterator[str]:
    """What of a file is other than its entry says, content aside, such as ``mode 0644 instead of 0600``.

    :param excused: kinds of what could not be set (:mod:`.shortfalls`).
    :raises FileNotFoundError: it is not there.
    """
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if stat.S_IFMT(found.st_mode) != _FORMATS[entry.kind]:
        yield f"it is no {entry.kind.value}"
        return
    yield from differing(found, entry, owner=owner, excused=excused)
    if entry.kind is EntryKind.SYMLINK:
        target = os.readlink(name, dir_fd=folder)
        if target != entry.link_target:
            yield f"it leads to {target!r} instead of {entry.link_target!r}"
    yield from _differing_xattrs(_path(folder, name), entry, excused)


def differing(
    found: os.stat_result, entry: Entry, *, owner: Ownership, excused: frozenset[str] = frozenset()
) -> Iterator[str]:
    """What ``stat`` can tell, of two files of the same kind."""
    mode, expected = stat.S_IMODE(found.st_mode), entry.mode
    if SETUID in excused and entry.kind is EntryKind.FILE:
        mode, expected = mode & ~_SPECIAL, expected & ~_SPECIAL
    if mode != expected and entry.kind is not EntryKind.SYMLINK:
        yield f"mode {mode:04o} instead of {expected:04o}"
    if OWNER not in excused and (found.st_uid, found.st_gid) != owner.of(entry):
        uid, gid = owner.of(entry)
        yield f"owner {found.st_uid}:{found.st_gid} instead of {uid}:{gid}"
    if found.st_mtime_ns != entry.mtime_ns:
        yield f"mtime {shown_time(found.st_mtime_ns)} instead of {shown_time(entry.mtime_ns)}"
    if entry.kind is EntryKind.FILE and found.st_size != entry.size_bytes:
        yield f"{found.st_size} bytes instead of {entry.size_bytes}"


def _differing_xattrs(path: str, entry: Entry, excused: frozenset[str]) -> Iterator[str]:
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
        names = []
    expected = dict(entry.xattrs)
    # A security label that the system gives to every file by itself is nobody's difference.
    for name in sorted({*names, *expected} - ({"security.selinux"} - expected.keys())):
        if xattr_kind(name) in excused:
            continue
        value = os.getxattr(path, name, follow_symlinks=False) if name in names else None
        if value != expected.get(name):
            yield f"extended attribute {shown_name(name)} is {'other' if name in expected else 'new'}"


def _set_xattr(place: int | str, name: str, value: bytes, path: bytes, shortfalls: Shortfalls) -> None:
    try:
        if isinstance(place, int):
            os.setxattr(place, name, value)
        else:
            os.setxattr(place, name, value, follow_symlinks=False)
    except OSError as error:
        # What no file system has (xattr(7)) is no honest backup's.
        possible = len(os.fsencode(name)) <= _NAME_MOST_BYTES and len(value) <= _VALUE_MOST_BYTES
        if error.errno not in _REFUSED and not (possible and _does_not_fit(error, place)):
            raise
        shortfalls.add(xattr_kind(name), path)


def _does_not_fit(error: OSError, place: int | str) -> bool:
    """Whether the file system has room, and none for so large an attribute: ext4 keeps all of a file's in one
    block, and then says what it says of a full disk."""
    if error.errno in (errno.E2BIG, errno.ERANGE):
        return True
    if error.errno != errno.ENOSPC:
        return False
    free = os.statvfs(place if isinstance(place, int) else place.rpartition("/")[0])
    return free.f_bavail * free.f_frsize > _SOME_ROOM_BYTES


def _path(folder: int, name: bytes) -> str:
    """Extended attributes take no descriptor of a folder; this leads through it, and never through a link."""
    return f"/proc/self/fd/{folder}/{os.fsdecode(name)}"


def _impossible(entry: Entry, error: Exception) -> IntegrityError:
    return IntegrityError(
        f"the backup gives {shown(entry.path)} what no file can have: {error}", hint="choose another backup"
    )
