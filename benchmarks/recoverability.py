"""What it costs to show 100 targets with a year of backups each: the pages, a scrape, what a watch keeps.

    python benchmarks/recoverability.py [--targets 100] [--days 365] [--times 20] [--json]

A generated inventory (tests/fleet.py) in a PostgreSQL of its own; the pages and the metrics are asked for in
this process, without Airflow's login. Aims: each page below 200 ms, a scrape below 50 ms. CPU seconds are
printed beside, which a busy machine does not change. What a watch of the repositories costs is measured by
``benchmarks/watching.py``. Needs the checkout's test dependencies.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "plugins"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient

from backstop.cli.output import human_bytes, print_table
from backstop.repository.observations import Observations
from backstop.targets import load_targets
from backstop.ui.auth import may_look
from backstop.ui.configuration import current_targets
from backstop.ui.inventory import InventoryConnection
from backstop.ui.metrics import metrics
from backstop.ui.pages import pages
from embedded.postgres import EmbeddedPostgres, pip_postgres_bin
from tests.fleet import name_of, populate
from tests.fleet_targets import targets_yaml
from tests.ui.people import Doors, Person

if TYPE_CHECKING:
    from collections.abc import Callable

    from backstop.postgres.connection import ClusterConnection

NOW = datetime(2026, 11, 26, 14, 32, 7, tzinfo=timezone.utc)
PAGE_MS, SCRAPE_MS = 200, 50
TOKEN = "benchmark-" + "0" * 32


@dataclass(frozen=True)
class Row:
    """One thing that was measured. :param aim_ms: for the median; None: none was set."""

    what: str
    first_ms: float
    median_ms: float
    slowest_ms: float
    cpu_ms: float
    bytes: int
    aim_ms: int | None = None

    @property
    def verdict(self) -> str:
        if self.aim_ms is None:
            return "-"
        return f"{'below' if self.median_ms < self.aim_ms else 'OVER'} {self.aim_ms} ms"


def measured(what: str, run: Callable[[], int], *, times: int, aim_ms: int | None = None) -> Row:
    """The first run apart, then so many. :param run: gives the size of what it made."""
    seconds, size = [], 0
    for _ in range(times + 1):
        cpu, started = time.process_time(), time.perf_counter()
        size = run()
        seconds.append((time.perf_counter() - started, time.process_time() - cpu))
    later = [one for one, _ in seconds[1:]]
    return Row(
        what,
        seconds[0][0] * 1000,
        statistics.median(later) * 1000,
        max(later) * 1000,
        statistics.median(cpu for _, cpu in seconds[1:]) * 1000,
        size,
        aim_ms,
    )


def all_measured(connection: ClusterConnection, targets: Path, times: int) -> list[Row]:
    kept = InventoryConnection.to(connection)
    known: dict[str, Any] = {
        "inventory": lambda: kept,
        "configuration": current_targets,
        "clock": lambda: NOW,
    }
    app = FastAPI()
    look = may_look(Doors(everybody=Person("ada")), current_targets)
    app.include_router(pages(**known), dependencies=[Depends(look)])
    app.include_router(metrics(**known))
    with connection.connect() as session:
        found = session.execute(
            "SELECT label FROM public.backup_inventory WHERE target = %s AND status = 'proven' "
            "ORDER BY finished_at DESC LIMIT 1",
            (name_of(0),),
        ).fetchone()
    assert found is not None
    observations = Observations(connection)
    seen = observations.all()

    with TestClient(app) as client:

        def ask(path: str) -> Callable[[], int]:
            def run() -> int:
                answer = client.get(path, headers={"authorization": f"Bearer {TOKEN}"})
                answer.raise_for_status()
                return len(answer.content)

            return run

        def page(what: str, path: str) -> Row:
            return measured(what, ask(path), times=times, aim_ms=PAGE_MS)

        def store() -> int:
            observations.store(seen)
            return len(seen)

        def read_targets() -> int:
            load_targets(targets)
            return targets.stat().st_size

        return [
            page("page: all targets", "/"),
            page("page: a target, 30 days", f"/targets/{name_of(0)}"),
            page("page: a target, a year", f"/targets/{name_of(0)}?days=365"),
            page("page: a backup", f"/targets/{name_of(0)}/backups/{found[0]}"),
            measured("scrape of /metrics", ask("/metrics"), times=times, aim_ms=SCRAPE_MS),
            measured("watch: observations of all targets kept", store, times=times),
            measured("targets.yaml read anew (a page keeps it)", read_targets, times=2),
        ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--targets", type=int, default=100)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="backstop-fleet-") as folder:
        directory = Path(folder)
        directory.chmod(0o711)
        token = directory / "token"
        token.write_text(TOKEN + "\n")
        token.chmod(0o600)
        targets = directory / "targets.yaml"
        targets.write_text(targets_yaml([name_of(number) for number in range(arguments.targets)]))
        os.environ |= {"BACKSTOP_TARGETS": str(targets), "BACKSTOP_METRICS_TOKEN_FILE": str(token)}
        server = EmbeddedPostgres(
            directory / "postgres",
            bin_dir=pip_postgres_bin(18),
            settings={},
            durable=False,
            die_with_parent=True,
        )
        with server:
            connection = server.connection("postgres")
            populate(connection, targets=arguments.targets, days=arguments.days, now=NOW)
            rows = all_measured(connection, targets, arguments.times)
    if arguments.json:
        print(json.dumps([one.__dict__ for one in rows], indent=2))
        return
    print_table(
        ["WHAT", "FIRST", "MEDIAN", "SLOWEST", "CPU", "BYTES", "AIM"],
        [
            [
                one.what,
                *(f"{value:.0f} ms" for value in (one.first_ms, one.median_ms, one.slowest_ms, one.cpu_ms)),
                human_bytes(one.bytes),
                one.verdict,
            ]
            for one in rows
        ],
        right=(1, 2, 3, 4, 5),
    )


if __name__ == "__main__":
    main()
