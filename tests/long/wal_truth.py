"""What really was committed, in which order and when: read from the dead server's own WAL by pg_waldump.

The engine never sees any of this: it recovers from the repositories alone, and is judged by it.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from backstop.model.lsn import Lsn

if TYPE_CHECKING:
    from pathlib import Path

    from tests.long.ledger import Ledger

_RECORD = re.compile(
    r"tx: +(?P<xid>\d+), lsn: (?P<lsn>[0-9A-F]+/[0-9A-F]+), .*desc: COMMIT (?P<at>\S+ [\d:.]+) UTC"
)


@dataclass(frozen=True)
class Commit:
    """One commit record."""

    xid: int
    lsn: Lsn
    at: datetime


def commits(wal: Path, start: Lsn, *, bin_dir: Path) -> list[Commit]:
    """Every commit from there on, in the order of the WAL."""
    said = subprocess.run(
        [bin_dir / "pg_waldump", "--path", wal, "--rmgr", "Transaction", "--start", str(start)],
        env={"TZ": "UTC", "LANG": "C"},
        capture_output=True,
        text=True,
        check=False,
    )
    found = [match for line in said.stdout.splitlines() if (match := _RECORD.search(line))]
    assert found, said.stderr
    return [
        Commit(
            int(one["xid"]),
            Lsn.parse(one["lsn"]),
            datetime.strptime(one["at"], "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=timezone.utc),
        )
        for one in found
    ]


def of_ledger(found: list[Commit], ledger: Ledger) -> list[Commit]:
    """Those that the clients made; all that was acknowledged is among them, or the test itself is wrong."""
    ours = [commit for commit in found if commit.xid in ledger.attempted]
    unknown = set(ledger.acknowledged) - {commit.xid for commit in ours}
    assert not unknown, f"acknowledged, and not in the server's own WAL: {sorted(unknown)[:5]}"
    return ours
