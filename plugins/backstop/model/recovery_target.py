"""Where a recovery shall stop, as people write it and as PostgreSQL takes it (docs, "Recovery Target")."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from enum import Enum

from backstop.errors import ConfigurationError
from backstop.model.lsn import Lsn

LATEST_TIMELINE = "latest"
CURRENT_TIMELINE = "current"

_FORMS = "latest, immediate, 2026-11-23T12:00:00Z, lsn:0/3000060, name:<restore point>, xid:<transaction id>"
_TIME = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)[T ](?P<clock>\d\d:\d\d(?::\d\d)?)(?:\.(?P<fraction>\d{1,6}))?"
    r"\s*(?P<zone>Z|UTC|[+-]\d\d(?::?\d\d)?)?"
)
_LOOKS_LIKE_TIME = re.compile(r"\d{4}-\d")
_FIRST_NORMAL_XID = 3
_LONGEST_NAME_BYTES = 63


class TargetKind(str, Enum):
    """What the target is measured by."""

    TIME = "time"
    LSN = "lsn"
    NAME = "name"
    XID = "xid"
    IMMEDIATE = "immediate"
    LATEST = "latest"


@dataclass(frozen=True, slots=True)
class RecoveryTarget:
    """A point to recover to. Exactly the field that belongs to ``kind`` is set.

    :param timeline: a timeline's number; ``latest``: the newest one known, PostgreSQL's default; ``current``:
        the one on which the base backup was taken.
    :param inclusive: whether what lies exactly at a time, LSN or transaction id is still applied, as
        ``recovery_target_inclusive``.
    :param base: label of the base backup to start from; by default the newest that fits.
    """

    kind: TargetKind
    time: datetime | None = None
    lsn: Lsn | None = None
    name: str | None = None
    xid: int | None = None
    timeline: int | str = LATEST_TIMELINE
    inclusive: bool = True
    base: str | None = None

    @classmethod
    def parse(
        cls,
        text: str,
        *,
        timeline: str | int = LATEST_TIMELINE,
        inclusive: bool = True,
        base: str | None = None,
    ) -> RecoveryTarget:
        """Read what somebody typed: ``latest``, ``immediate``, a time with its zone, ``0/3000060``, or
        ``time:``, ``lsn:``, ``name:`` or ``xid:`` with what it says.

        :raises ConfigurationError: anything else, and what would be right.
        """
        branch = parse_timeline(timeline)
        kind, value = _kind_and_value(text.strip())
        found = cls(kind, timeline=branch, inclusive=inclusive, base=base)
        if kind is TargetKind.TIME:
            return replace(found, time=parse_target_time(value))
        if kind is TargetKind.LSN:
            return replace(found, lsn=_parse_lsn(value))
        if kind is TargetKind.NAME:
            return replace(found, name=_parse_name(value))
        if kind is TargetKind.XID:
            return replace(found, xid=_parse_xid(value))
        return found

    def __str__(self) -> str:
        """What :meth:`parse` reads, without timeline and base."""
        if self.time is not None:
            return f"time:{self.time.astimezone(timezone.utc).strftime('%Y-%m-%dT%H:%M:%S.%fZ')}"
        for kind, value in (("lsn", self.lsn), ("name", self.name), ("xid", self.xid)):
            if value is not None:
                return f"{kind}:{value}"
        return self.kind.value

    @property
    def described(self) -> str:
        """With the timeline and base that it insists on, for messages."""
        words = str(self)
        if self.timeline != LATEST_TIMELINE:
            words += f" on timeline {self.timeline}"
        return f"{words} from base backup {self.base}" if self.base else words

    def settings(self, timeline: int) -> dict[str, str]:
        """The server's ``recovery_target*`` settings, the timeline always by its number: ``latest`` would be
        asked again while recovery runs, and might have become another one."""
        values = {"recovery_target_timeline": str(timeline)}
        if self.kind is TargetKind.IMMEDIATE:
            return {**values, "recovery_target": "immediate"}
        if self.kind is TargetKind.LATEST:
            return values
        if self.time is not None:
            moment = self.time.astimezone(timezone.utc)
            values["recovery_target_time"] = moment.strftime("%Y-%m-%d %H:%M:%S.%f+00")
        else:
            values[f"recovery_target_{self.kind.value}"] = str(self).partition(":")[2]
        if self.kind is not TargetKind.NAME:
            values["recovery_target_inclusive"] = "on" if self.inclusive else "off"
        return values


def parse_timeline(text: str | int) -> int | str:
    """``latest``, ``current``, or a number as PostgreSQL takes it: ``3``, ``0x1F``.

    :raises ConfigurationError: anything else.
    """
    word = str(text).strip().lower()
    if word in (LATEST_TIMELINE, CURRENT_TIMELINE):
        return word
    if re.fullmatch(r"\d+|0x[0-9a-f]+", word):
        number = int(word, 16 if word.startswith("0x") else 10)
        if 0 < number < 1 << 32:
            return number
    raise ConfigurationError(
        f"{str(text)!r} is not a timeline", hint="say latest, current, or its number such as 3 or 0x1F"
    )


def parse_target_time(text: str) -> datetime:
    """A time with its offset from UTC, to the microsecond.

    :raises ConfigurationError: when it is no time, or says no zone: recovery has stopped hours off for less.
    """
    parts = _TIME.fullmatch(text.strip())
    if parts is None:
        raise ConfigurationError(f"{text!r} is not a time", hint="write it as 2026-11-23T12:00:00+01:00")
    if parts["zone"] is None:
        raise ConfigurationError(
            f"time {text!r} has no zone", hint="add Z for UTC, or an offset such as +01:00"
        )
    clock = parts["clock"] if parts["clock"].count(":") == 2 else parts["clock"] + ":00"
    try:
        naive = f"{parts['date']} {clock}.{parts['fraction'] or '0'}"
        zone = timezone(_offset(parts["zone"]))
        moment = datetime.strptime(naive, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=zone)
        moment.astimezone(timezone.utc)  # there has to be such a moment in UTC, too
    except (ValueError, OverflowError) as error:
        raise ConfigurationError(
            f"{text!r} is not a time: {error}", hint="write it as 2026-11-23T12:00:00+01:00"
        ) from error
    return moment


def _offset(zone: str) -> timedelta:
    if zone in ("Z", "UTC"):
        return timedelta(0)
    digits = zone[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -offset if zone[0] == "-" else offset


def _kind_and_value(text: str) -> tuple[TargetKind, str]:
    if text.lower() in (TargetKind.LATEST.value, TargetKind.IMMEDIATE.value):
        return TargetKind(text.lower()), ""
    if _LOOKS_LIKE_TIME.match(text):
        return TargetKind.TIME, text
    if re.fullmatch(r"[0-9A-Fa-f]+/[0-9A-Fa-f]+", text):
        return TargetKind.LSN, text
    word, colon, value = text.partition(":")
    if colon and word.lower() in ("time", "lsn", "name", "xid"):
        return TargetKind(word.lower()), value.strip()
    raise ConfigurationError(f"{text!r} is not a recovery target", hint=f"say one of: {_FORMS}")


def _parse_lsn(text: str) -> Lsn:
    try:
        return Lsn.parse(text)
    except ValueError as error:
        raise ConfigurationError(
            str(error), hint="`SELECT pg_current_wal_lsn()` shows what one looks like"
        ) from None


def _parse_name(text: str) -> str:
    if not text or len(text.encode()) > _LONGEST_NAME_BYTES or not text.isprintable():
        raise ConfigurationError(
            f"{text!r} is not the name of a restore point; they have 1 to {_LONGEST_NAME_BYTES} bytes",
            hint="give the name that was given to pg_create_restore_point()",
        )
    return text


def _parse_xid(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,20}", text) or not _FIRST_NORMAL_XID <= int(text) < 1 << 64:
        raise ConfigurationError(
            f"{text!r} is not a transaction id", hint="give the number that pg_current_xact_id() returned"
        )
    return int(text)
