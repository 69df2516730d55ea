"""What ``pg_controldata`` tells about a data directory that no server runs on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.errors import IntegrityError
from backstop.model.lsn import Lsn

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class ControlData:
    """Of ``global/pg_control``.

    :param state: in PostgreSQL's words, such as ``in production`` or ``shut down``.
    :param settings: those that a server which replays this cluster's WAL must not set lower.
    """

    system_id: str
    state: str
    timeline: int
    checkpoint: Lsn
    segment_bytes: int
    checksums: bool
    wal_level: str
    settings: dict[str, str]


# pg_controldata's words (src/bin/pg_controldata/pg_controldata.c), and the setting each is about.
_SETTINGS = {
    "max_connections setting": "max_connections",
    "max_worker_processes setting": "max_worker_processes",
    "max_prepared_xacts setting": "max_prepared_transactions",
    "max_locks_per_xact setting": "max_locks_per_transaction",
    "track_commit_timestamp setting": "track_commit_timestamp",
}


def parse_control_data(text: str, *, place: Path) -> ControlData:
    """Read the output of ``pg_controldata`` in the C locale.

    :raises IntegrityError: it lacks what every version since 15 prints, or the file is damaged.
    """
    fields = {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}
    if re.search(r"WARNING:.*(CRC|mismatch|invalid)", text, re.IGNORECASE):
        raise IntegrityError(f"pg_control in {place} is damaged", hint="choose another base backup")
    try:
        return ControlData(
            system_id=fields["Database system identifier"],
            state=fields["Database cluster state"],
            timeline=int(fields["Latest checkpoint's TimeLineID"]),
            checkpoint=Lsn.parse(fields["Latest checkpoint location"]),
            segment_bytes=int(fields["Bytes per WAL segment"]),
            checksums=fields["Data page checksum version"] != "0",
            wal_level=fields["wal_level setting"],
            settings={setting: fields[words] for words, setting in _SETTINGS.items()},
        )
    except (KeyError, ValueError) as error:
        raise IntegrityError(
            f"pg_controldata does not describe {place} as expected: {error}",
            hint="restore with the programs of the backup's own major version",
        ) from error
