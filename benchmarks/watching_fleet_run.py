"""Whole runs of watch_backups over a fleet: wall clock, CPU and memory of each task and of all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backstop.cli.output import human_bytes
from backstop.model.lsn import Lsn, WalSegment
from backstop.repository.inventory import Inventory
from benchmarks.measure import Cost, measure, tree_cpu_seconds
from benchmarks.watching_fleet import DAYS, SEGMENTS_A_DAY, Fleet, slot_of, utc_now
from embedded.accounts import postgres_account
from embedded.cluster import ENVIRONMENT
from embedded.postgres import EmbeddedPostgres, pip_postgres_bin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstop.postgres.connection import ClusterConnection

CHECKOUT = Path(__file__).resolve().parent.parent
AT_A_TIME = 50
"""As dags/watch_backups.py."""


def watch_fleet(count: int) -> None:
    """Make the fleet, and watch it: for the first time, with nothing new, with all WAL listed."""
    with tempfile.TemporaryDirectory(prefix="backstop-watch-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o711)
        inventory = EmbeddedPostgres(folder / "inventory", bin_dir=pip_postgres_bin(18), durable=False)
        inventory = stack.enter_context(inventory)
        Inventory(inventory.connection()).migrate()
        server = stack.enter_context(_server_with_a_past(folder / "server", count))
        with server.connect() as session:
            (system_id,) = session.execute(
                "SELECT system_identifier::text FROM pg_catalog.pg_control_system()"
            ).fetchone()
        fleet = Fleet(folder / "fleet", count, system_id, utc_now())
        fleet.folder.mkdir()
        began = time.perf_counter()
        fleet.write(os.cpu_count() or 1)
        print(f"{count} targets made in {time.perf_counter() - began:.0f} s", flush=True)
        runs = _Runs(fleet, server, inventory)
        runs.one("first of all", minutes=0)
        for minutes in (5, 10, 15):
            runs.one("nothing new", minutes=minutes)
        runs.one("everything listed", minutes=135)


def _server_with_a_past(directory: Path, count: int) -> EmbeddedPostgres:
    """One that has written a year of WAL, as its positions say; a slot for each target."""
    server = EmbeddedPostgres(
        directory,
        bin_dir=pip_postgres_bin(18),
        settings={
            "max_replication_slots": str(count + 5),
            "max_wal_senders": "30",
            "max_slot_wal_keep_size": "4GB",
            "autovacuum": "off",
        },
        durable=False,
    )
    with server:
        pass
    account = postgres_account(directory, server.bin_dir)
    segment = WalSegment(1, DAYS * SEGMENTS_A_DAY, 16 * 1024 * 1024)
    subprocess.run(
        [*account.prefix, server.bin_dir / "pg_resetwal", "-l", segment.name, "-D", server.data],
        env=ENVIRONMENT,
        cwd="/",
        user=account.uid,
        group=account.gid,
        extra_groups=None if account.uid is None else [],
        check=True,
        capture_output=True,
    )
    server.start()
    return server


@dataclass(frozen=True)
class _Runs:
    fleet: Fleet
    server: EmbeddedPostgres
    inventory: EmbeddedPostgres

    def one(self, what: str, *, minutes: int) -> None:
        """A run, so many minutes from now."""
        self._archive()
        names = sorted(self.fleet.names)
        tasks = [names[at : at + AT_A_TIME] for at in range(0, len(names), AT_A_TIME)]
        servers = {"inventory": self.inventory.pid, "database server": self.server.pid}
        before = {name: tree_cpu_seconds(pid) for name, pid in servers.items()}
        began = time.perf_counter()
        with ThreadPoolExecutor(len(tasks)) as pool:
            costs = list(pool.map(lambda targets: self._task(targets, minutes), tasks))
        seconds = time.perf_counter() - began
        for cost in costs:
            # What was given up for taking too long may say so after the task has ended.
            said = json.loads(next(one for one in cost.output.splitlines() if one.startswith('{"')))
            print(
                f"{what}: task of {said['targets']}: {cost.seconds:.1f} s, {cost.cpu_seconds:.1f} s of CPU, "
                f"of which watching {said['seconds']:.1f} s, {said['cpu_seconds']:.1f} s of CPU; at most "
                f"{human_bytes(max(cost.peak_rss_bytes.values()))}; "
                f"{said['critical']} critical, {said['warning']} warnings"
            )
        spent = {name: tree_cpu_seconds(pid) - before[name] for name, pid in servers.items()}
        spent["tasks"] = sum(cost.cpu_seconds for cost in costs)
        shares = ", ".join(f"{name} {cpu:.1f} s" for name, cpu in spent.items())
        print(f"{what}: all: {seconds:.1f} s, {sum(spent.values()):.1f} s of CPU ({shares})", flush=True)

    def _task(self, targets: Sequence[str], minutes: int) -> Cost:
        step = CHECKOUT / "benchmarks" / "watching_step.py"
        return measure(
            [sys.executable, str(step), str(minutes), *targets],
            env={
                **ENVIRONMENT,
                "HOME": str(self.fleet.folder),
                "AIRFLOW_HOME": str(self.fleet.folder / "airflow"),
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                "PYTHONPATH": str(CHECKOUT / "plugins"),
                "BACKSTOP_TARGETS": str(self.fleet.targets_yaml),
                "AIRFLOW_CONN_DATABASE": _as_airflow(self.server.connection()),
                "AIRFLOW_CONN_INVENTORY": _as_airflow(self.inventory.connection()),
            },
            cwd=self.fleet.folder,
            servers={},
        )

    def _archive(self) -> None:
        """As archive-wal would have done until now, for each slot."""
        with self.server.connect() as session:
            (position,) = session.execute("SELECT pg_catalog.pg_current_wal_flush_lsn()::text").fetchone()
            made = {
                name for (name,) in session.execute("SELECT slot_name FROM pg_catalog.pg_replication_slots")
            }
            for target in self.fleet.names:
                slot = slot_of(target)
                if slot not in made:
                    session.execute("SELECT pg_create_physical_replication_slot(%s, true)", (slot,))
                session.execute("SELECT pg_replication_slot_advance(%s, %s)", (slot, position))
        self.fleet.archive(Lsn.parse(position))


def _as_airflow(connection: ClusterConnection) -> str:
    return json.dumps(
        {
            "conn_type": "postgres",
            "host": connection.host,
            "port": connection.port,
            "login": connection.user,
            "password": connection.password,
            "schema": connection.dbname,
        }
    )
