"""What a backup of a file tree lists: one entry a file, folder, link; and how a line of that list is written.

A path is bytes, absolute, without the leading ``/``. Entries are in the order of a walk that takes the names
in each folder by their bytes, a folder before what is in it: two lists can be merged without memory.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from backstop.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SKEWED = ',"skewed":true'
_parse = json.JSONDecoder().raw_decode
_quoted = json.encoder.encode_basestring_ascii
_NEVER_A_NAME = frozenset((b"", b".", b".."))
_PACK = re.compile(r"[0-9a-z]{1,32}-[0-9a-z]{1,12}")


class EntryKind(str, Enum):
    """Kinds of files that are kept; sockets and devices are not (``not_included`` names them)."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    FIFO = "fifo"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a file's content.

    :param offset: in the file; what no chunk covers is a hole, or the zeros behind the last one.
    :param sha256: of the piece, lower-case hexadecimal; its name in the pack.
    :param pack: name of the ``chunks`` object that holds it.
    """

    offset: int
    size_bytes: int
    sha256: str
    pack: str


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells, without reading a file, whether it is the one that was backed up.

    No program can set ctime, and inode and device differ for a file that was put in another's place.
    """

    ctime_ns: int
    inode: int
    device: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, folder, symbolic link or FIFO, with everything that a restore gives back to it.

    :param mode: permission bits with setuid, setgid and sticky, no file type.
    :param owner: and ``group``: their names, empty where the machine had none.
    :param size_bytes: of a file, else 0.
    :param xattrs: name to value; POSIX ACLs are among them (``system.posix_acl_access``, acl(5)).
    :param link_target: of a symbolic link.
    :param hard_link: path of the first entry that is the same file; the content is listed there.
    :param skewed: the file kept changing while it was read: what was stored may be of several moments.
    """

    path: bytes
    kind: EntryKind
    mode: int
    uid: int
    gid: int
    owner: str
    group: str
    mtime_ns: int
    size_bytes: int = 0
    chunks: tuple[Chunk, ...] = ()
    xattrs: tuple[tuple[str, bytes], ...] = ()
    link_target: bytes = b""
    hard_link: bytes = b""
    identity: Identity | None = None
    skewed: bool = False

    @property
    def sort_key(self) -> tuple[bytes, ...]:
        return sort_key(self.path)

    def to_line(self) -> bytes:
        """One line of the list, with its line end: JSON, ASCII; see docs/format.md."""
        line = line_head(
            self.path,
            self.kind,
            mode=self.mode,
            uid=self.uid,
            gid=self.gid,
            owner=self.owner,
            group=self.group,
            mtime_ns=self.mtime_ns,
            size_bytes=self.size_bytes,
        )
        if self.kind is EntryKind.FILE:
            pieces = [f'[{one.offset},{one.size_bytes},"{one.sha256}","{one.pack}"]' for one in self.chunks]
            line += ",".join(pieces) + "]"
        if self.xattrs:
            values = {name: base64.b64encode(value).decode() for name, value in self.xattrs}
            line += f',"xattrs":{json.dumps(values, separators=(",", ":"))}'
        if self.link_target:
            line += f',"target":{_quoted(_text(self.link_target))}'
        if self.hard_link:
            line += line_hard_link(self.hard_link)
        line += line_end(self.identity, skewed=self.skewed)
        return line.encode("ascii")

    @classmethod
    def from_line(cls, line: bytes) -> Entry:
        """:raises IntegrityError: not what :meth:`to_line` writes; such as a path that leads elsewhere."""
        try:
            raw = _parsed(line)
            return cls(
                path=_safe_path(raw["path"]),
                kind=_KINDS[raw["kind"]],
                mode=_mode(raw["mode"]),
                uid=_count(raw["uid"]),
                gid=_count(raw["gid"]),
                owner=_name(raw["owner"]),
                group=_name(raw["group"]),
                mtime_ns=_integer(raw["mtime_ns"]),
                size_bytes=_count(raw.get("size", 0)),
                chunks=tuple(_chunks(raw.get("chunks", ()))),
                xattrs=tuple(_xattrs(raw.get("xattrs", {}))),
                link_target=_bytes(raw.get("target", "")),
                hard_link=_safe_path(raw["hard_link"]) if "hard_link" in raw else b"",
                identity=Identity(*map(_integer, raw["identity"])) if "identity" in raw else None,
                skewed=raw.get("skewed", False) is True,
            )
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
            raise IntegrityError(
                f"a line of the list of files is malformed: {error}", hint="choose another backup"
            ) from error


_KINDS = {kind.value: kind for kind in EntryKind}


def line_path(path: bytes) -> str:
    """What the line of that path, and no other, begins with."""
    return f'{{"path":{_quoted(path.decode(errors="surrogateescape"))},'


def line_head(
    path: bytes,
    kind: EntryKind,
    *,
    mode: int,
    uid: int,
    gid: int,
    owner: str,
    group: str,
    mtime_ns: int,
    size_bytes: int,
) -> str:
    """What a line begins with, up to the pieces of a file: enough to tell whether two lines differ there."""
    who = line_owner(kind, mode=mode, uid=uid, gid=gid, owner=owner, group=group)
    return f"{line_path(path)}{who}{line_times(kind, mtime_ns=mtime_ns, size_bytes=size_bytes)}"


def line_owner(kind: EntryKind, *, mode: int, uid: int, gid: int, owner: str, group: str) -> str:
    """The part of a line behind its path: most lines of a list have the same."""
    return (
        f'"kind":"{kind.value}","mode":"{mode:04o}","uid":{uid},"gid":{gid},'
        f'"owner":{_quoted(owner)},"group":{_quoted(group)}'
    )


def line_times(kind: EntryKind, *, mtime_ns: int, size_bytes: int) -> str:
    """The part of a line behind its owner, up to the pieces of a file."""
    size = f',"size":{size_bytes},"chunks":[' if kind is EntryKind.FILE else ""
    return f',"mtime_ns":{mtime_ns}{size}'


def line_hard_link(path: bytes) -> str:
    """The part of a line that says so."""
    return f',"hard_link":{_quoted(_text(path))}'


def line_end(identity: Identity | None, *, skewed: bool = False) -> str:
    """What a line ends with."""
    known = line_identity(identity.ctime_ns, identity.inode, identity.device) if identity else ""
    return f"{known}{_SKEWED if skewed else ''}}}\n"


def line_identity(ctime_ns: int, inode: int, device: int) -> str:
    """The part of a line that tells an unchanged file."""
    return f',"identity":[{ctime_ns},{inode},{device}]'


def sort_key(path: bytes) -> tuple[bytes, ...]:
    """The order of a list: folder by folder, names by their bytes."""
    return tuple(path.split(b"/"))


def shown(path: bytes) -> str:
    """The path for people, with its ``/`` in front: one line, whatever its bytes."""
    return shown_name("/" + path.decode(errors="backslashreplace"))


def shown_name(text: str) -> str:
    """One line that no terminal takes for anything else."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _parsed(line: bytes) -> Any:
    """As :func:`json.loads` of ASCII, without its guesses; a restore asks three times for each file."""
    text = line.decode("ascii").rstrip("\n")
    raw, end = _parse(text)
    if end != len(text):
        raise ValueError("something follows the entry")
    return raw


def _text(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")


def _bytes(text: str) -> bytes:
    raw = text.encode(errors="surrogateescape")
    if b"\0" in raw:
        raise ValueError("a zero byte in a name")
    return raw


def _safe_path(text: str) -> bytes:
    """A path that can only lead below the place it is restored to."""
    path = _bytes(text)
    if not _NEVER_A_NAME.isdisjoint(path.split(b"/")):
        raise ValueError(f"path {text!r}")
    return path


def _mode(text: str) -> int:
    mode = int(text, 8)
    if not 0 <= mode <= 0o7777:
        raise ValueError(f"mode {text}")
    return mode


def _integer(raw: object) -> int:
    if type(raw) is not int:
        raise ValueError(f"{raw!r} is no whole number")
    return raw


def _count(raw: object) -> int:
    if type(raw) is not int or raw < 0:
        raise ValueError(f"{raw!r} is no whole number, or negative")
    return raw


def _name(raw: object) -> str:
    if not isinstance(raw, str):
        raise ValueError(f"{raw!r} is no name")
    return raw


def _chunks(raw: Iterable[Any]) -> Iterable[Chunk]:
    end = 0
    for offset, size_bytes, sha256, pack in raw:
        if _count(offset) < end or _count(size_bytes) == 0:
            raise ValueError("pieces of a file overlap, or are empty")
        if not _SHA256.fullmatch(sha256) or not _PACK.fullmatch(pack):
            raise ValueError(f"piece {sha256!r} in pack {pack!r}")
        end = offset + size_bytes
        yield Chunk(offset, size_bytes, sha256, pack)


def _xattrs(raw: Mapping[str, str]) -> Iterable[tuple[str, bytes]]:
    for name, value in raw.items():
        yield _bytes(name).decode(errors="surrogateescape"), base64.b64decode(value, validate=True)
