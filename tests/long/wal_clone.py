"""What a recovered data directory holds of the ledger, read by the server in single-user mode."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from tests.long.ledger import PARTS

if TYPE_CHECKING:
    from pathlib import Path

_QUERIES = (
    "SELECT 'xids=' || coalesce(string_agg(xid || ':' || parts, ','), '') AS found "
    "FROM (SELECT xid::text, count(*) AS parts FROM ledger GROUP BY xid) AS transactions",
    "SELECT 'torn=' || count(*) AS found FROM totals "
    "WHERE n <> coalesce((SELECT max(l.n) FROM ledger l WHERE l.client = totals.client), 0)",
)


def recovered_transactions(data: Path, *, bin_dir: Path, account: str) -> set[int]:
    """The ids of the ledger's transactions in it, each of them there as a whole."""
    done = subprocess.run(
        [
            *(["setpriv", "--reuid", account, "--clear-groups", "--"] if account else []),
            str(bin_dir / "postgres"), "--single", "-F", "-D", str(data), "postgres",
        ],
        env={"PATH": os.environ["PATH"]}, cwd="/", input="\n".join(_QUERIES) + "\n",
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = dict(
        line.split('found = "', 1)[1].rsplit('"', 1)[0].split("=", 1)
        for line in done.stdout.splitlines()
        if 'found = "' in line
    )
    assert found["torn"] == "0", f"the two tables disagree about {found['torn']} clients"
    pairs = [one.split(":") for one in found["xids"].split(",") if one]
    assert all(int(parts) == PARTS for _, parts in pairs), "a transaction is there in part"
    return {int(xid) for xid, _ in pairs}
