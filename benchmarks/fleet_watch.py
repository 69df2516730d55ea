"""One run of watch_backups over a fleet with a server that answers and empty repositories; then the page."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from backstop.cli.output import human_bytes
from backstop.repository.inventory import Inventory
from benchmarks.measure import measure
from benchmarks.watching_fleet_run import AT_A_TIME, _as_airflow
from embedded.cluster import ENVIRONMENT
from embedded.postgres import EmbeddedPostgres, pip_postgres_bin

if TYPE_CHECKING:
    from backstop.postgres.connection import ClusterConnection

CHECKOUT = Path(__file__).resolve().parent.parent


def watch_fleet(home: Path, targets: Path, count: int) -> None:
    """Prints what a task of fifty targets costs, and the overview of all afterwards."""
    from backstop.crypto.keyring import LocalKeyring
    from backstop.crypto.signing import create_signing_keys

    keys = home / "keys"
    keys.mkdir(mode=0o700)
    LocalKeyring.create(keys / "keyring.json", datetime.now(timezone.utc))
    create_signing_keys(keys / "signing")
    with EmbeddedPostgres(home / "inventory", bin_dir=pip_postgres_bin(18), durable=False) as server:
        connection = server.connection()
        Inventory(connection).migrate()
        env = {
            **ENVIRONMENT,
            "HOME": str(home),
            "AIRFLOW_HOME": str(home / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "PYTHONPATH": os.pathsep.join([str(CHECKOUT / "plugins"), str(CHECKOUT)]),
            "BACKSTOP_TARGETS": str(targets),
            "AIRFLOW_CONN_BACKSTOP_INVENTORY": _as_airflow(connection),
        }
        for number in range(count):
            for role in ("BACKUP", "RESTORE", "REPLICATION"):
                env[f"AIRFLOW_CONN_{role}_{number}"] = _as_airflow(connection)
        names = [f"system-{number:03}" for number in range(count)]
        step = str(CHECKOUT / "benchmarks" / "watching_step.py")
        for what in ("first", "again"):
            for at in range(0, count, AT_A_TIME):
                some = names[at : at + AT_A_TIME]
                cost = measure([sys.executable, step, "0", *some], env=env, cwd=home, servers={})
                said = json.loads(next(one for one in cost.output.splitlines() if one.startswith('{"')))
                print(
                    f"watch, {what}: task of {said['targets']}: {cost.seconds:.1f} s, "
                    f"{cost.cpu_seconds:.1f} s of CPU, of which watching {said['seconds']:.1f} s; at most "
                    f"{human_bytes(max(cost.peak_rss_bytes.values()))}; {said['critical']} critical, "
                    f"{said['warning']} warnings",
                    flush=True,
                )
        _show(targets, connection)


def _show(targets: Path, connection: ClusterConnection) -> None:
    """The overview, in this process."""
    import psutil
    from fastapi import Depends, FastAPI
    from fastapi.testclient import TestClient

    os.environ["BACKSTOP_TARGETS"] = str(targets)
    from backstop.ui.auth import may_look
    from backstop.ui.configuration import current_targets
    from backstop.ui.pages import pages
    from tests.ui.people import Doors, Person

    app = FastAPI()
    look = may_look(Doors(everybody=Person("ada")), current_targets)
    router = pages(
        inventory=lambda: connection,
        configuration=current_targets,
        clock=lambda: datetime.now(timezone.utc),
        pools=lambda: ["default_pool"],
    )
    app.include_router(router, dependencies=[Depends(look)])
    with TestClient(app) as client:
        times = []
        for _ in range(21):
            began = time.perf_counter()
            answer = client.get("/")
            times.append((time.perf_counter() - began) * 1000)
            assert answer.status_code == 200, answer.text[:500]
    rss = psutil.Process().memory_info().rss
    print(
        f"page: overview: first {times[0]:.0f} ms, then median {statistics.median(times[1:]):.0f} ms, "
        f"{len(answer.content) / 1024:.0f} KiB; the process {human_bytes(rss)}",
        flush=True,
    )
