"""Is a running server set as include/postgres/backup.conf says? What differs, and what that means."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backstop.errors import ConfigurationError, SourceError
from backstop.sql import load_sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

OLDEST_MAJOR = 15
# PostgreSQL docs, 19.1: one setting a line, `=` and quotes may be left out. `#: ` is ours, see the file.
_LINE = re.compile(
    r"(?:#: )?(?P<name>[a-z_][a-z0-9_.]*)\s*(?:=|\s)\s*(?P<value>'(?:[^']|'')*'|[^\s#']+)\s*(?:#.*)?"
)
_QUANTITY = re.compile(r"(-?\d+(?:\.\d+)?)\s*([A-Za-z]*)")
_BYTES = {"B": 1, "kB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}
_MICROSECONDS = {"us": 1, "ms": 10**3, "s": 10**6, "min": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6}

# More than the file asks for is no drift.
_AT_LEAST = frozenset(
    {"max_wal_senders", "max_replication_slots", "wal_keep_size", "maintenance_work_mem", "max_wal_size"}
)
_AS_GOOD = {"wal_level": {"replica": {"logical"}}, "wal_compression": {"on": {"pglz", "lz4", "zstd"}}}
_MEANS = {
    "wal_level": "neither base backups nor recovery are possible without replica or logical",
    "max_wal_senders": "a base backup or the WAL receiver may be refused while others are connected",
    "max_replication_slots": "the WAL receiver may find no slot to start with",
    "max_slot_wal_keep_size": "it decides whether an absent receiver costs its slot or the server's disk",
    "wal_keep_size": "WAL may be gone before a receiver whose slot was dropped comes back",
    "summarize_wal": "every base backup is a full one",
    "full_page_writes": "pages that were half written cannot be repaired",
    "wal_compression": "there is more WAL to ship than need be",
    "data_checksums": "pages damaged by the disk are backed up unnoticed",
    "maintenance_work_mem": "restores take longer to build their indexes",
    "max_wal_size": "checkpoints follow each other during a restore or a base backup",
    "checkpoint_completion_target": "checkpoints write in bursts, which the application feels",
    "synchronous_standby_names": "acknowledged commits may be lost with the server",
    "archive_mode": "finished segments are not copied into the archive directory",
    "archive_command": "finished segments go elsewhere than Backstop looks",
    "archive_timeout": "a segment that is not full is closed later or sooner than planned",
}


@dataclass(frozen=True, slots=True)
class WantedSetting:
    """A line of the file; ``value`` as it stands there, without quotes."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Drift:
    """A setting that the server has otherwise.

    :param takes: ``reload``, ``restart``, or ``another cluster`` for what initdb decides.
    :param waits_for_restart: the server's files were changed already, and it has not been restarted since.
    """

    name: str
    wanted: str
    found: str
    means: str
    takes: str
    waits_for_restart: bool

    @property
    def sentence(self) -> str:
        """One line for people."""
        how = (
            "changed already, and waits for a restart" if self.waits_for_restart else f"takes a {self.takes}"
        )
        if self.takes == "another cluster":
            how = "cannot be set in a file"
        means = f": {self.means}" if self.means else ""
        return f"{self.name} is {self.found}, wanted {self.wanted}{means} ({how})"

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "sentence": self.sentence}


def backup_conf() -> Path:
    """The file that comes with Backstop."""
    return Path(__file__).resolve().parents[3] / "include" / "postgres" / "backup.conf"


def read_wanted(file: Path) -> list[WantedSetting]:
    """What the file asks for, in its order; the last line about a setting counts, as for PostgreSQL.

    :raises ConfigurationError: it cannot be read, or a line is no setting.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{file} cannot be read: {error}", hint="name another with --conf"
        ) from error
    wanted: dict[str, WantedSetting] = {}
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or (text.startswith("#") and not text.startswith("#: ")):
            continue
        match = _LINE.fullmatch(text)
        if match is None:
            raise ConfigurationError(
                f"{file}, line {number} is no setting: {text!r}", hint="write name = value, or comment it out"
            )
        value = match["value"]
        if value.startswith("'"):
            value = value[1:-1].replace("''", "'")
        wanted[match["name"]] = WantedSetting(match["name"], value)
    return list(wanted.values())


def server_drift(session: psycopg.Connection[Any], wanted: Sequence[WantedSetting]) -> list[Drift]:
    """What the server has otherwise, in the file's order; settings that its version lacks are passed over.

    :raises SourceError: the server is older than any that Backstop takes base backups of.
    :raises ConfigurationError: a wanted value is none for its setting.
    """
    major = session.info.server_version // 10000
    if major < OLDEST_MAJOR:
        raise SourceError(
            f"the server runs PostgreSQL {major}, which its own project no longer maintains",
            hint=f"base backups need PostgreSQL {OLDEST_MAJOR} or later; dumps work as before",
        )
    rows = session.execute(load_sql("preflight/settings"), {"names": [one.name for one in wanted]})
    found = {
        name: (setting, unit, kind, context, waits) for name, setting, unit, kind, context, waits in rows
    }
    drift = []
    for one in wanted:
        if one.name not in found:
            continue
        setting, unit, kind, context, waits = found[one.name]
        if not _as_wanted(one, setting, unit, kind):
            drift.append(
                Drift(
                    name=one.name,
                    wanted=one.value,
                    found=_shown(setting, unit),
                    means=_MEANS.get(one.name, ""),
                    takes=_takes(context),
                    waits_for_restart=waits,
                )
            )
    return drift


def _as_wanted(wanted: WantedSetting, setting: str, unit: str | None, kind: str) -> bool:
    if kind in ("integer", "real"):
        ours, theirs = _quantity(wanted, unit), float(setting) * _factor(unit)
        # -1 is no size: no limit, or another default.
        if ours < 0 or theirs < 0:
            return ours < 0 and theirs < 0
        return theirs >= ours if wanted.name in _AT_LEAST else theirs == ours
    if kind == "bool":
        return _truth(wanted) == (setting == "on")
    ours_text, theirs_text = wanted.value.strip(), setting.strip()
    if kind == "enum":
        ours_text, theirs_text = ours_text.lower(), theirs_text.lower()
    return ours_text == theirs_text or theirs_text in _AS_GOOD.get(wanted.name, {}).get(ours_text, set())


def _quantity(wanted: WantedSetting, unit: str | None) -> float:
    match = _QUANTITY.fullmatch(wanted.value)
    units = {**_BYTES, **_MICROSECONDS}
    if match is None or (match[2] and (unit is None or match[2] not in units)):
        raise ConfigurationError(
            f"{wanted.value!r} is no value for {wanted.name}",
            hint="correct it, as PostgreSQL would refuse it too",
        )
    # Without a unit it is in the setting's own; and -1 means the same in any.
    return float(match[1]) * (units[match[2]] if match[2] else _factor(unit))


def _factor(unit: str | None) -> int:
    """pg_settings.unit as bytes or microseconds: ``8kB`` is 8192."""
    match = re.fullmatch(r"(\d*)([A-Za-z]+)", unit or "")
    if match is None:
        return 1
    return int(match[1] or 1) * {**_BYTES, **_MICROSECONDS}[match[2]]


def _truth(wanted: WantedSetting) -> bool:
    text = wanted.value.lower()
    for truth, words in ((True, ("on", "true", "yes", "1")), (False, ("off", "false", "no", "0"))):
        # PostgreSQL takes any unambiguous beginning of these.
        if any(word.startswith(text) for word in words) and text != "o":
            return truth
    raise ConfigurationError(f"{wanted.value!r} is neither on nor off for {wanted.name}", hint="correct it")


def _shown(setting: str, unit: str | None) -> str:
    """As one would write it in the file: 65536 of 8kB is 512MB."""
    if unit is None or setting.startswith("-"):
        return setting or "''"
    units = _BYTES if _factor(unit) >= 1024 or unit == "B" else _MICROSECONDS
    units = _MICROSECONDS if unit in _MICROSECONDS else units
    amount = float(setting) * _factor(unit)
    for name, size in reversed(units.items()):
        if amount and amount % size == 0:
            return f"{amount / size:.0f}{name}"
    return f"{setting}{unit}" if amount else "0"


def _takes(context: str) -> str:
    return {"postmaster": "restart", "internal": "another cluster"}.get(context, "reload")
