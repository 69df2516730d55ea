"""A retention plan for 100,000 backups: seconds on the clock, CPU seconds and memory.

    python benchmarks/retention.py [--backups 100000] [--order shuffled|oldest|newest]

The aims are 30 s and 500 MB, whatever the order: dumps, file trees, and base backups in chains of seven, a
third each, under a policy with every rule. Candidates are made first, and their memory is part of the peak.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "plugins"))

from backstop.model.backup import BackupKind, BackupLabel
from backstop.model.lsn import Lsn
from backstop.model.retention import Candidate, RetentionPolicy, apply_retention

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 11, 26, 12, tzinfo=timezone.utc)
EVERY = timedelta(minutes=20)
POLICY = RetentionPolicy(
    keep_for=timedelta(days=90), keep_last=50, daily=30, weekly=12, monthly=24, yearly=10, min_proven=3
)
TREES = ("media", "config", "reports")


def candidates(count: int) -> Iterator[Candidate]:
    """Oldest first. Every fifth is not proven."""
    parent: BackupLabel | None = None
    for number in range(count):
        at = NOW - EVERY * (count - number)
        timeline = start = end = None
        needs: tuple[BackupLabel, ...] = ()
        if number % 3 == 0:
            label = BackupLabel.at(at, BackupKind.DUMP)
        elif number % 3 == 1:
            label = BackupLabel.at(at, BackupKind.TREE, tree=TREES[number // 3 % len(TREES)])
        else:
            is_full = number % 21 == 2
            label = BackupLabel.at(at, BackupKind.FULL if is_full else BackupKind.INCREMENTAL)
            needs = () if is_full or parent is None else (parent,)
            parent = label
            timeline, start, end = 1, Lsn(number << 24), Lsn((number << 24) + 1000)
        yield Candidate(
            label=label,
            system_id="7300000000000000000",
            finished_at=at,
            snapshot_at=at,
            stored_bytes=1000,
            proven=number % 5 != 0,
            needs=needs,
            content=1_000_000 + number,
            timeline=timeline,
            start=start,
            end=end,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backups", type=int, default=100_000)
    parser.add_argument("--order", choices=["shuffled", "oldest", "newest"], default="shuffled")
    arguments = parser.parse_args()

    backups = list(candidates(arguments.backups))
    if arguments.order == "shuffled":
        random.Random(1).shuffle(backups)
    elif arguments.order == "newest":
        backups.reverse()
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    clock, cpu = time.perf_counter(), time.process_time()
    plan = apply_retention(backups, policies=lambda _label: POLICY, now=NOW)
    seconds, cpu_seconds = time.perf_counter() - clock, time.process_time() - cpu
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    expired = len(plan.expired)
    print(f"{len(backups):,} backups, {arguments.order}: {len(backups) - expired:,} stay, {expired:,} expire")
    print(f"  {len(plan.wal or ())} ranges of WAL, {len(plan.blocked)} hold-ups")
    print(f"  planned in {seconds:.2f} s on the clock, {cpu_seconds:.2f} CPU-s")
    print(f"  peak memory {peak_kb / 1024:.0f} MB, of which {before_kb / 1024:.0f} before the plan")


if __name__ == "__main__":
    main()
