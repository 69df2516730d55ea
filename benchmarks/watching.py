"""What a watch costs that finds nothing new: seconds, and calls to the storage.

    python benchmarks/watching.py [--s3]
    python benchmarks/watching.py --targets 100

One target with a year of backups: a dump a day, a base backup a week, a small tree a day, 90 days of WAL (a
segment every ten minutes), in two repositories, all of it in the inventory; then a run that is the first of
all, some with nothing new, and one that lists everything again. Needs the checkout's test dependencies: it
starts a PostgreSQL for the inventory and, with ``--s3``, an S3 server for one of the repositories.

With ``--targets`` a whole run of ``watch_backups`` over so many of benchmarks/watching_fleet.py: tasks of 50
targets, each a process of its own, all at once. Their servers are one real PostgreSQL; both repositories are
directories. Not in it: S3 (see above), what Airflow takes to start a task, and telling people.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "plugins"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from backstop.model.backup import BackupKind
from backstop.repository.inventory import Inventory
from benchmarks.watching_fleet_run import watch_fleet
from embedded.postgres import EmbeddedPostgres, pip_postgres_bin
from embedded.seaweedfs import EmbeddedSeaweedFS
from tests.observing import BASE, DUMP, World
from tests.protection import s3_corner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backstop.storage.base import ObjectInfo
    from backstop.storage.s3 import S3Storage

BEGUN = datetime(2025, 1, 6, 0, 55, tzinfo=timezone.utc)
DAYS = 365
WAL_DAYS = 90
SEGMENTS_A_DAY = 144


class Year(World):
    """Lived through before it is watched."""

    def fill(self) -> None:
        segment = 1
        for day in range(DAYS):
            self.dump(day, objects=12)
            self.back_up(BackupKind.TREE, day, hour=2, sizes=[500], tree="config")
            if day < DAYS - WAL_DAYS:
                continue
            self.wal(range(segment, segment + SEGMENTS_A_DAY))
            segment += SEGMENTS_A_DAY
            if day % 7 == 6:
                self.base(day, segment=segment - 1)
        self.wal(range(segment, segment + 3))


class Counting:
    """An S3 storage that counts requests, by the names of the contract; of ``list`` one a page."""

    def __init__(self, storage: S3Storage) -> None:
        self._storage = storage
        self.asked: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._storage, name)
        if name == "location":
            return found

        def call(*given: Any, **named: Any) -> Any:
            if name != "list":
                self.asked[name] += 1
                return found(*given, **named)
            return self._list(*given)

        return call

    def _list(self, prefix: str) -> Iterator[ObjectInfo]:
        for index, info in enumerate(self._storage.list(prefix)):
            self.asked["list"] += index % 1000 == 0
            yield info


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--s3", action="store_true", help="keep one of the repositories in a real S3 server")
    parser.add_argument("--targets", type=int, help="watch so many, as Airflow's tasks do")
    arguments = parser.parse_args()
    if arguments.targets:
        watch_fleet(arguments.targets)
        return
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        Path(folder).chmod(0o711)
        server = EmbeddedPostgres(Path(folder) / "postgres", bin_dir=pip_postgres_bin(18), durable=False)
        inventory = Inventory(stack.enter_context(server).connection("postgres"))
        inventory.migrate()
        (Path(folder) / "world").mkdir()
        tree = replace(DUMP, kind="tree:config", schedules=("0 2 * * *",))
        world = Year(Path(folder) / "world", begun=BEGUN, kinds=(DUMP, BASE, tree), inventory=inventory)
        world.fill()
        print(f"{sum(1 for _ in world.storages['s3'].list(''))} objects in each repository")
        if arguments.s3:
            weed = EmbeddedSeaweedFS(Path(folder) / "seaweedfs", buckets=["backstop-tests"])
            _move_to_s3(world, stack.enter_context(weed))
        _run(world, "first of all")
        for _ in range(3):
            world.now += timedelta(minutes=5)
            _run(world, "nothing new")
        world.now += timedelta(hours=2)
        _run(world, "everything listed")


def _move_to_s3(world: Year, weed: EmbeddedSeaweedFS) -> None:
    there = Counting(s3_corner(weed))
    here = world.storages["s3"]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda info: there.upload(info.key, here.read(info.key)), list(here.list(""))))
    world.storages["s3"] = there
    # A real server has a real clock: what it stored just now must not look like news to each run.
    world.now = datetime.now(timezone.utc) + timedelta(minutes=10)


def _run(world: World, what: str) -> None:
    before = {name: Counter(storage.asked) for name, storage in world.storages.items()}
    began, cpu = time.perf_counter(), time.process_time()
    observed = world.watch()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    for name, storage in world.storages.items():
        calls = dict(sorted((storage.asked - before[name]).items()))
        print(f"{what}: {name}: {sum(calls.values())} calls {calls}")
    print(f"{what}: {seconds:.2f} s, {cpu:.2f} s of CPU, {len(observed.findings)} findings")


if __name__ == "__main__":
    main()
