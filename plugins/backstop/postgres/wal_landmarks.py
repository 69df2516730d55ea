"""Records in WAL that a recovery can stop at, and those that tell where to look for them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.errors import ToolError
from backstop.model.lsn import Lsn
from backstop.postgres.process import run_tool
from backstop.postgres.waldump import WALDUMP_ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from backstop.model.lsn import WalSegment
    from backstop.postgres.tools import PostgresTools

# src/backend/access/rmgrdesc, unchanged from 15 to 18. A prepared transaction's number comes later.
_LINE = re.compile(
    r"rmgr: (?:XLOG|Transaction|Standby) .*?, tx: +(?P<tx>\d+), lsn: (?P<lsn>[0-9A-F]+/[0-9A-F]+), .*?desc: "
    r"(?:RESTORE_POINT (?P<point>.*)"
    r"|(?P<end>COMMIT|ABORT)(?:_PREPARED (?P<prepared>\d+):)? .*?(?:; subxacts: (?P<parts>[\d ]+).*)?"
    r"|RUNNING_XACTS nextXid (?P<next>\d+) .*?oldestRunningXid (?P<oldest>\d+).*)"
)


@dataclass(frozen=True, slots=True)
class RestorePoint:
    """What ``pg_create_restore_point()`` wrote."""

    lsn: Lsn
    name: str


@dataclass(frozen=True, slots=True)
class TransactionEnd:
    """:param parts: the numbers of its subtransactions, at which no recovery can stop."""

    lsn: Lsn
    xid: int
    committed: bool
    parts: frozenset[int]


@dataclass(frozen=True, slots=True)
class RunningTransactions:
    """At this position every number before ``next_xid`` had been given out, none from it on; and all before
    ``oldest_xid`` had ended (``LogStandbySnapshot``, every checkpoint, and every 15 s while there is WAL)."""

    lsn: Lsn
    next_xid: int
    oldest_xid: int


Landmark = RestorePoint | TransactionEnd | RunningTransactions


def read_landmarks(
    segments: Sequence[WalSegment],
    *,
    folder: Path,
    managers: Sequence[str],
    tools: PostgresTools,
) -> tuple[list[Landmark], bool]:
    """Read neighbouring segments of one timeline, which lie in ``folder`` under their names.

    :param managers: resource managers to read: ``XLOG`` has restore points, ``Transaction`` the ends of
        transactions, ``Standby`` which were running.
    :returns: what was found, in order; and whether all could be read to its end.
    :raises ToolError: pg_waldump cannot be run.
    """
    listing = folder / f"{segments[0].name}.listing"
    whole = True
    try:
        run_tool(
            [
                tools.path("pg_waldump"),
                f"--path={folder}",
                *(f"--rmgr={manager}" for manager in managers),
                segments[0].name,
                segments[-1].name,
            ],
            env=WALDUMP_ENVIRONMENT,
            stdout_to=listing,
        )
    except ToolError:
        # An invalid record: WAL ends there. Without a word before that it may be no WAL at all.
        if not listing.exists():
            raise
        whole = False
    try:
        return list(_landmarks(listing)), whole
    finally:
        listing.unlink()


def _landmarks(listing: Path) -> Iterator[Landmark]:
    with listing.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if not (found := _LINE.fullmatch(line.rstrip("\n"))):
                continue
            lsn = Lsn.parse(found["lsn"])
            if found["point"] is not None:
                yield RestorePoint(lsn, found["point"])
            elif found["end"]:
                xid = int(found["prepared"] or found["tx"])
                parts = frozenset(int(part) for part in (found["parts"] or "").split())
                yield TransactionEnd(lsn, xid, found["end"] == "COMMIT", parts)
            else:
                yield RunningTransactions(lsn, int(found["next"]), int(found["oldest"]))
