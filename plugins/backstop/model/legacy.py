"""Backups that scripts made before Backstop: what their names say, and which of them may go. Pure.

A legacy backup is one file. Its name is all that tells when it was made; dates of uploads decide nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import tzinfo

_FIELDS = {"%Y": r"(?P<Y>\d{4})", "%m": r"(?P<m>\d\d)", "%d": r"(?P<d>\d\d)", "%H": r"(?P<H>\d\d)",
           "%M": r"(?P<M>\d\d)", "%S": r"(?P<S>\d\d)", "%%": "%"}  # fmt: skip
_DIRECTIVE = re.compile(r"%.?", re.DOTALL)


class LegacyNames:
    """How the scripts named their files: ``full_%Y%m%d_%H%M%S.sql.gz``, in the time of their host.

    :param pattern: ``%Y %m %d``, and as far as the names have them ``%H %M %S``, each once.
    :param zone: of the host; ``date`` wrote its local time without saying so.
    :raises ValueError: a directive is unknown, missing, or there twice.
    """

    def __init__(self, pattern: str, zone: tzinfo) -> None:
        self.pattern = pattern
        self._zone = zone
        directives = [found for found in _DIRECTIVE.findall(pattern) if found != "%%"]
        if (
            not {"%Y", "%m", "%d"} <= set(directives) <= set(_FIELDS)
            or len(set(directives)) != len(directives)
            or "/" in pattern
        ):
            raise ValueError(
                "expected a file name with %Y, %m, %d, and %H, %M, %S as far as there are any, each once, "
                "such as full_%Y%m%d_%H%M%S.sql.gz"
            )
        pieces = re.split(r"(%.)", pattern, flags=re.DOTALL)
        self._name = re.compile("".join(_FIELDS.get(piece) or re.escape(piece) for piece in pieces), re.ASCII)

    @property
    def beginning(self) -> str:
        """What every name begins with."""
        return self.pattern.partition("%")[0]

    def times(self, name: str) -> tuple[datetime, datetime] | None:
        """When the file of this name was begun, in UTC: the earliest and the latest it can have been.

        The two differ by an hour where clocks were set back, for the hour that came twice, and for one that
        clocks set forward have skipped. None: not a name of theirs.
        """
        match = self._name.fullmatch(name)
        if match is None:
            return None
        fields = [int(match[field]) for field in "YmdHMS" if field in self._name.groupindex]
        try:
            # zoneinfo cannot convert at the ends of the calendar.
            local = datetime(*fields)  # type: ignore[arg-type]  # noqa: DTZ001 the zone comes below
            readings = [
                local.replace(tzinfo=self._zone, fold=fold).astimezone(timezone.utc) for fold in (0, 1)
            ]
        except (ValueError, OverflowError):
            return None
        return min(readings), max(readings)


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyBackup:
    """One file of the old scripts.

    :param tree: the file tree it is of; empty: a plain dump of the database.
    :param repository: whose backups take its place, and whose retention it follows.
    :param name: of the file; :param location: where it is, for people.
    :param earliest_at: and :param taken_at: when it was begun; the two differ around a change of clocks
        (:meth:`LegacyNames.times`). What decides is the later: nothing goes too early.
    :param modified_at: of the file: with its size, what tells that it was changed since.
    """

    tree: str
    repository: str
    name: str
    location: str
    earliest_at: datetime
    taken_at: datetime
    size_bytes: int
    modified_at: datetime

    @property
    def kind(self) -> str:
        """``database``, or ``tree-media``."""
        return f"tree-{self.tree}" if self.tree else "database"
