"""What a base backup holds of a data directory: the choice of ``basebackup.c`` of PostgreSQL 15 to 18.

Everything but what the server removes or makes anew when it starts: WAL, lock files, temporary files and
relations, unlogged relations (of which the init fork stays), the content of some folders. Files may come and
go meanwhile; WAL brings back what that changes.
"""

from __future__ import annotations

import os
import re
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from backstop.errors import SourceError
from backstop.postgres.base_backup_stream import Tablespace
from backstop.postgres.control_file import NAME as CONTROL_FILE
from backstop.postgres.file_access import file_error

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLESPACES = "pg_tblspc"
_WAL = "pg_wal"
_SUMMARIES_SINCE = 17
_LOOKS = 3
_PAUSE_SECONDS = 0.1

_EMPTIED = frozenset(
    {"pg_stat_tmp", "pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial", "pg_snapshots", "pg_subtrans"}
)
_LEFT_OUT = frozenset(
    {
        "postgresql.auto.conf.tmp", "current_logfiles.tmp", "backup_label", "tablespace_map",
        "backup_manifest", "postmaster.pid", "postmaster.opts",
    }
)  # fmt: skip
_LEFT_OUT_PREFIXES = ("pgsql_tmp", "pg_internal.init")

_DATABASE = re.compile(r"(base|(pg_tblspc/[0-9]+/)?PG_[0-9]+_[0-9]+)/[0-9]+")
_VERSION_FOLDER = re.compile(r"PG_[0-9]+_[0-9]+")
_OID = re.compile(r"[0-9]{1,10}")
# relpath.c: oid, fork, segment.
_RELATION = re.compile(r"(?P<oid>[0-9]{1,10})(?:_(?P<fork>fsm|vm|init))?(?:\.(?P<segment>[0-9]+))?")
_TEMPORARY = re.compile(r"t[0-9]+_[0-9]+(_(fsm|vm|init))?(\.[0-9]+)?")


class ClusterFile(NamedTuple):
    """One regular file.

    :param name: in its archive: below the data directory, or below the tablespace's location.
    :param path: where it is read.
    :param size_bytes: when it was found; it may change.
    :param segment: of a relation, which of its files this is, from 0; None: it has no pages.
    """

    name: str
    path: str
    size_bytes: int
    segment: int | None


class ClusterFolder(NamedTuple):
    """A directory; or, with ``link``, where a tablespace is.

    :param modified_at: in seconds since 1970.
    """

    name: str
    mode: int
    uid: int
    gid: int
    modified_at: int
    link: str | None = None


@dataclass(slots=True)
class ClusterArchive:
    """What belongs into one archive, named ``base`` or by the tablespace's oid."""

    name: str
    location: str | None = None
    folders: list[ClusterFolder] = field(default_factory=list)
    files: list[ClusterFile] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    """Links and special files, which no base backup has."""

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    @property
    def tablespace(self) -> Tablespace:
        return Tablespace(None if self.location is None else int(self.name), self.location, self.size_bytes)


def list_cluster(data: Path, *, server_data: str) -> list[ClusterArchive]:
    """Of the data directory and of each tablespace, the data directory last; pg_control is not listed.

    :param server_data: how the server calls ``data``; a container may see it elsewhere.
    :raises SourceError: something may not be read, or a tablespace is out of reach from here.
    """
    base = ClusterArchive("base")
    found = (_tablespace(data, entry) for entry in _tablespace_entries(data))
    archives = [one for one in found if one is not None]
    # A tablespace below the data directory has an archive of its own.
    apart = {one.location.removeprefix(f"{server_data}/") for one in archives if one.location is not None}
    major = int((data / "PG_VERSION").read_text())
    _Scan(base, prefix="", apart=apart, major=major).folder(str(data), "")
    return [*archives, base]


def _tablespace_entries(data: Path) -> list[os.DirEntry[str]]:
    with file_error(str(data / TABLESPACES)), os.scandir(data / TABLESPACES) as entries:
        return sorted((one for one in entries if _OID.fullmatch(one.name)), key=lambda one: int(one.name))


def _tablespace(data: Path, entry: os.DirEntry[str]) -> ClusterArchive | None:
    """One that lies in place has its own path as its location, as the server has it. None: it was dropped."""
    path = str(data / TABLESPACES / entry.name)
    version = f"PG_{(data / 'PG_VERSION').read_text().strip()}_"
    location, lacks = f"{TABLESPACES}/{entry.name}", ""
    for _ in range(_LOOKS):
        try:
            with file_error(path):
                if entry.is_symlink():
                    # As it stands there: the server's own map has it so too, be there a slash at its end.
                    location = os.readlink(path)  # noqa: PTH115
        except FileNotFoundError:
            return None
        try:
            with file_error(path):
                names = sorted(below.name for below in Path(path).iterdir())
        except FileNotFoundError:
            names, lacks = [], "which does not exist here"
        else:
            lacks = f"which is here, without the folder {version}… that every tablespace has"
        # Others are of servers of other versions, which share the place during an upgrade.
        ours = [name for name in names if _VERSION_FOLDER.fullmatch(name) and name.startswith(version)]
        if ours:
            archive = ClusterArchive(entry.name, location)
            scan = _Scan(archive, prefix=f"{TABLESPACES}/{entry.name}/")
            for name in ours:
                scan.enter(f"{path}/{name}", name)
            return archive
        # DROP TABLESPACE takes the folder away first, and then the link.
        time.sleep(_PAUSE_SECONDS)
    if not os.path.lexists(path):
        return None
    # CREATE TABLESPACE makes that folder, and it stays: this is a mount point without its disk, or another
    # host's.
    raise SourceError(
        f"tablespace {entry.name} of the server is at {location}, {lacks}",
        hint="let the worker see it at the same path, or take the base backup over the network",
    )


@dataclass(slots=True)
class _Scan:
    """Walks one archive's folders.

    :param prefix: of names, for the rules about folders.
    :param apart: folders of the data directory whose content is in other archives.
    """

    archive: ClusterArchive
    prefix: str
    apart: set[str] = field(default_factory=set)
    major: int = 0

    def folder(self, path: str, name: str) -> None:
        """What is in it."""
        try:
            with file_error(path), os.scandir(path) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except FileNotFoundError:
            return
        database = _DATABASE.fullmatch(self.prefix + name) is not None
        relations = database or self.prefix + name == "global"
        unlogged = _init_forks(entries) if database else frozenset()
        for entry in entries:
            relation = _RELATION.fullmatch(entry.name) if relations else None
            if _left_out(entry.name) or (database and _TEMPORARY.fullmatch(entry.name)):
                continue
            if relation and relation["fork"] != "init" and relation["oid"] in unlogged:
                continue
            below = f"{name}/{entry.name}" if name else entry.name
            if below == CONTROL_FILE and not self.prefix:
                continue
            self._entry(entry, below, int(relation["segment"] or 0) if relation else None)

    def _entry(self, entry: os.DirEntry[str], name: str, segment: int | None) -> None:
        try:
            with file_error(entry.path):
                status = entry.stat(follow_symlinks=False)
                if (
                    stat.S_ISLNK(status.st_mode)
                    and name.startswith(f"{TABLESPACES}/")
                    and name.count("/") == 1
                ):
                    self._add_folder(name, status, os.readlink(entry.path))  # noqa: PTH115
                    return
        except FileNotFoundError:
            return
        if entry.name in _EMPTIED or name == _WAL:
            # Be it a link to another disk: restored, it is a folder.
            for one in (name, *(self._of_wal() if name == _WAL else ())):
                self._add_folder(one, status)
        elif stat.S_ISDIR(status.st_mode):
            self.enter(entry.path, name)
        elif stat.S_ISREG(status.st_mode):
            if self._readable(entry.path):
                self.archive.files.append(ClusterFile(name, entry.path, status.st_size, segment))
        else:
            self.archive.passed_over.append(name)

    @staticmethod
    def _readable(path: str) -> bool:
        """Asked now: hours later, in the middle of the copy, is no time to be told. False: it is gone."""
        if os.access(path, os.R_OK):
            return True
        try:
            with file_error(path):
                os.close(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC))
        except FileNotFoundError:
            return False
        return True

    def _of_wal(self) -> Iterator[str]:
        yield f"{_WAL}/archive_status"
        if self.major >= _SUMMARIES_SINCE:
            yield f"{_WAL}/summaries"

    def enter(self, path: str, name: str) -> None:
        """A folder and what is in it."""
        try:
            with file_error(path):
                self._add_folder(name, Path(path).lstat())
        except FileNotFoundError:
            return
        if name not in self.apart:
            self.folder(path, name)

    def _add_folder(self, name: str, status: os.stat_result, link: str | None = None) -> None:
        # A link in place of a folder has rights that no folder has.
        mode = 0o700 if link is None and stat.S_ISLNK(status.st_mode) else stat.S_IMODE(status.st_mode)
        self.archive.folders.append(
            ClusterFolder(name, mode, status.st_uid, status.st_gid, int(status.st_mtime), link)
        )


def _left_out(name: str) -> bool:
    return name in _LEFT_OUT or name.startswith(_LEFT_OUT_PREFIXES)


def _init_forks(entries: list[os.DirEntry[str]]) -> frozenset[str]:
    """The oids of unlogged relations."""
    matches = (_RELATION.fullmatch(entry.name) for entry in entries)
    return frozenset(
        one["oid"] for one in matches if one and one["fork"] == "init" and one["segment"] is None
    )
