"""What lies in a WAL segment, as ``pg_waldump`` tells it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from backstop.errors import ToolError
from backstop.model.lsn import Lsn
from backstop.postgres.process import run_tool

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.postgres.tools import PostgresTools

WALDUMP_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
_RECORD = re.compile(r"lsn: (?P<lsn>[0-9A-F]+/[0-9A-F]+)")
_COMMIT = re.compile(
    r"desc: COMMIT(?:_PREPARED)? (?:[^;]*?)(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) UTC"
)


@dataclass(frozen=True, slots=True)
class SegmentContent:
    """:param last_record: where the last record that can be read begins; None when there is none.

    :param last_commit: where the last commit's record begins.
    """

    last_record: Lsn | None
    last_commit_at: datetime | None
    last_commit: Lsn | None = None


def look_into(segment: Path, tools: PostgresTools, *, by: datetime | None = None) -> SegmentContent:
    """Read one segment file, whose name is its own, to where its valid records end.

    :param by: commits that are later do not count.
    :raises ToolError: pg_waldump cannot be run.
    """
    listing = segment.with_name(f"{segment.name}.listing")
    try:
        run_tool(
            [tools.path("pg_waldump"), f"--path={segment.parent}", segment.name, segment.name],
            env=WALDUMP_ENVIRONMENT,
            stdout_to=listing,
        )
    except ToolError:
        # WAL ends somewhere, with an "invalid record"; without a word before that it is no WAL of ours.
        if not listing.exists():
            raise
    last_record: Lsn | None = None
    last_commit_at: datetime | None = None
    last_commit: Lsn | None = None
    with listing.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if found := _RECORD.search(line):
                last_record = Lsn.parse(found["lsn"])
            if found := _COMMIT.search(line):
                at = datetime.fromisoformat(f"{found['time']}+00:00")
                if by is None or at <= by:
                    last_commit_at, last_commit = at, last_record
    listing.unlink()
    return SegmentContent(last_record, last_commit_at, last_commit)
