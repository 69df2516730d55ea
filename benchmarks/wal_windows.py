"""Recovery windows from a million segment names: seconds on the clock, CPU seconds and memory.

    python benchmarks/wal_windows.py [--names 1000000] [--order sorted|shuffled|holes] [--bases 52]

The aims are 5 s and 500 MB, whatever the order. Names come from a generator, as from a listing; what they
cost to make is measured apart and taken off. A busy machine misses the aim on the clock; the CPU seconds are
what to compare.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
from collections import deque
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "plugins"))

from backstop.model.lsn import DEFAULT_SEGMENT_BYTES, Lsn, WalSegment
from backstop.model.recovery import plan_recovery
from backstop.model.recovery_target import RecoveryTarget
from backstop.model.timeline import Histories, StoredHistory
from backstop.model.wal import StoredWal
from backstop.model.window import BaseBackup, RecoverySources, recovery_windows

if TYPE_CHECKING:
    from collections.abc import Iterator

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
SYSTEM_ID = "7300000000000000000"
EVERY = timedelta(seconds=30)


def numbers(count: int, order: str) -> list[int]:
    """``holes``: every second segment is missing, the worst case for anything that keeps runs."""
    found = list(range(0, 2 * count, 2)) if order == "holes" else list(range(count))
    if order == "shuffled":
        random.Random(1).shuffle(found)
    return found


def listing(found: list[int], switch: int) -> Iterator[tuple[str, str, datetime]]:
    """The first half on timeline 1, the second on timeline 2."""
    for number in found:
        timeline = 1 if number < switch else 2
        name = f"{timeline:08X}{number >> 8:08X}{number & 0xFF:08X}"
        yield name, f"{number:016x}", START + EVERY * number


def bases(count: int, span: int, switch: int) -> list[BaseBackup]:
    made = []
    for index in range(count):
        number = index * span // count
        start = WalSegment(1 if number < switch else 2, number)
        made.append(
            BaseBackup(
                label=f"base-{index}",
                system_id=SYSTEM_ID,
                timeline=start.timeline,
                start=start.start + 40,
                end=start.start + 400,
                finished_at=START + EVERY * (number + 1),
                server_major=18,
            )
        )
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--names", type=int, default=1_000_000)
    parser.add_argument("--order", choices=["sorted", "shuffled", "holes"], default="sorted")
    parser.add_argument("--bases", type=int, default=52)
    arguments = parser.parse_args()

    found = numbers(arguments.names, arguments.order)
    span = max(found) + 1
    switch = span // 2
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    clock, cpu = time.perf_counter(), time.process_time()
    deque(listing(found, switch), maxlen=0)
    making = time.process_time() - cpu
    making_wall = time.perf_counter() - clock

    clock, cpu = time.perf_counter(), time.process_time()
    wal = StoredWal.collect(listing(found, switch), system_id=SYSTEM_ID)
    history = f"1\t{Lsn(switch * DEFAULT_SEGMENT_BYTES)}\tno recovery target specified\n".encode()
    sources = RecoverySources(
        bases(arguments.bases, span, switch), wal, Histories.read([StoredHistory(2, "00", history)])
    )
    collected = time.process_time() - cpu - making
    windows = recovery_windows(sources)
    cpu_seconds = time.process_time() - cpu - making
    seconds = time.perf_counter() - clock - making_wall
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    print(f"{arguments.names:,} names, {arguments.order}, {arguments.bases} base backups")
    print(
        f"  collected in {collected:.2f} CPU-s; {len(windows)} windows in {cpu_seconds - collected:.3f} more"
    )
    print(f"  all in {seconds:.2f} s on the clock, {cpu_seconds:.2f} CPU-s (making names: {making:.2f})")
    print(f"  peak memory {peak_kb / 1024:.0f} MB, of which {before_kb / 1024:.0f} before the listing")
    if arguments.order != "holes":
        clock = time.perf_counter()
        plan = plan_recovery(RecoveryTarget.parse("latest"), sources, now=START + EVERY * (span + 1))
        print(f"  one plan, of {plan.segment_count:,} segments, in {time.perf_counter() - clock:.3f} s")


if __name__ == "__main__":
    main()
