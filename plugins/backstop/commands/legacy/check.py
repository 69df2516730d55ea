"""Is a legacy backup whole? Read to its end, nothing is restored; what it holds comes out by the way."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.commands.legacy.archive import Archive
from backstop.commands.legacy.gunzip import Gunzip, buffered
from backstop.errors import IntegrityError
from backstop.postgres.plain_dump import DumpFacts, PlainDump
from backstop.postgres.plain_roles import RolesNamed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backstop.commands.legacy.places import Place
    from backstop.commands.progress import Progress
    from backstop.model.legacy import LegacyBackup

_ENCODING = re.compile(rb"SET client_encoding = '(?P<name>\w+)';")


@dataclass(slots=True)
class CheckedFile:
    """A legacy backup that is whole.

    :param sha256: of the file's bytes: a restore, which reads it once more, compares.
    :param content_bytes: uncompressed.
    """

    sha256: str
    content_bytes: int


@dataclass(slots=True)
class CheckedDump(CheckedFile):
    """A plain dump. :param encoding: of the database that it is of."""

    facts: DumpFacts = field(default_factory=DumpFacts)
    roles: RolesNamed = field(default_factory=RolesNamed)
    encoding: str = "UTF8"

    @property
    def rows(self) -> int:
        return sum(self.facts.rows.values())


@dataclass(slots=True)
class CheckedArchive(CheckedFile):
    """An archive of files."""

    files: int = 0
    bytes: int = 0


def check_dump(place: Place, backup: LegacyBackup, progress: Progress) -> CheckedDump:
    """Read a plain dump to its end.

    :raises IntegrityError: cut off anywhere, damaged, empty, no dump of pg_dump's, or with commands of psql.
    """
    roles = RolesNamed()
    encoding = "UTF8"
    with opened(place, backup, progress) as content:
        dump = PlainDump(buffered(content), backup.location)
        for statement in dump:
            roles.look_at(statement.text)
            match = _ENCODING.fullmatch(statement.text)
            encoding = match["name"].decode() if match else encoding
        if not dump.facts.server_major:
            raise IntegrityError(
                f"{backup.location} does not say which server it was dumped from", hint="look what wrote it"
            )
        return CheckedDump(content.sha256, content.content_bytes, dump.facts, roles, encoding)


def check_archive(place: Place, backup: LegacyBackup, progress: Progress) -> CheckedArchive:
    """Read an archive to its end.

    :raises IntegrityError: cut off anywhere, damaged, or empty.
    """
    files = size_bytes = 0
    with opened(place, backup, progress) as content:
        for member in Archive(buffered(content), backup.location):
            files += member.kind == "file"
            size_bytes += member.size_bytes
        return CheckedArchive(content.sha256, content.content_bytes, files, size_bytes)


@contextmanager
def opened(place: Place, backup: LegacyBackup, progress: Progress) -> Iterator[Gunzip]:
    """The content of a legacy backup while it lasts."""
    with place.open(backup) as file:
        yield Gunzip(file, backup.location, advance=progress.advance)


def require_same(content: Gunzip, checked: CheckedFile, backup: LegacyBackup) -> None:
    """:raises IntegrityError: what was read to its end now is not what was checked before."""
    if content.sha256 != checked.sha256:
        raise IntegrityError(
            f"{backup.location} was changed while it was restored",
            hint="nothing was kept of it; find out who writes there, then restore again",
        )
