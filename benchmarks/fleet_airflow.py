"""A real scheduler and DAG processor over a fleet: until every DAG is known, then how long its loops take."""

from __future__ import annotations

import re
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from benchmarks.measure import tree_cpu_seconds
from embedded.airflow import EmbeddedAirflow
from embedded.databases import prepare_metadata
from embedded.postgres import EmbeddedPostgres, pip_postgres_bin

if TYPE_CHECKING:
    from backstop.postgres.connection import ClusterConnection

CHECKOUT = Path(__file__).resolve().parent.parent
PROCESSES = ("scheduler", "dag-processor")
_LOOP = re.compile(r"Ran scheduling loop in ([\d.]+) ms")


def run_airflow(home: Path, targets: Path, *, minutes: float) -> None:
    """Prints what it finds. No pool has a place: runs come to be, and no task starts."""
    connections = home / "connections.json"
    connections.write_text("{}")
    with EmbeddedPostgres(home / "metadata", bin_dir=pip_postgres_bin(18), durable=False) as server:
        prepare_metadata(server)
        metadata = server.connection("airflow", "airflow")
        airflow = EmbeddedAirflow(
            home / "embedded-airflow",
            metadata=metadata,
            dags=CHECKOUT / "dags",
            plugins=CHECKOUT / "plugins",
            connections_file=connections,
            environment={"BACKSTOP_TARGETS": str(targets), "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG"},
            components=PROCESSES,
        )
        airflow.configure()
        airflow.migrate()
        with metadata.connect() as session:
            session.execute("UPDATE public.slot_pool SET slots = 0")
        began = time.perf_counter()
        airflow.start()
        try:
            _until_known(metadata, began)
            _follow(airflow, server, metadata, minutes)
        finally:
            airflow.stop()


def _ask(metadata: ClusterConnection, question: str) -> int:
    with metadata.connect() as session:
        return session.execute(question).fetchone()[0]


def _until_known(metadata: ClusterConnection, began: float) -> None:
    known, since = -1, time.perf_counter()
    while time.perf_counter() - since < 30:
        time.sleep(1)
        now = _ask(metadata, "SELECT count(*) FROM public.serialized_dag")
        if now != known:
            known, since = now, time.perf_counter()
    print(f"airflow: {known} DAGs known {since - began:.0f} s after start, all files read once", flush=True)
    size = _ask(metadata, "SELECT coalesce(sum(pg_column_size(data)), 0) FROM public.serialized_dag")
    print(f"airflow: {size / 1024 / 1024:.1f} MiB of serialized DAGs", flush=True)


def _follow(
    airflow: EmbeddedAirflow, server: EmbeddedPostgres, metadata: ClusterConnection, minutes: float
) -> None:
    log = airflow.log("scheduler")
    begin_at = log.stat().st_size
    spent = {name: tree_cpu_seconds(airflow.pid(name)) for name in PROCESSES}
    spent["metadata database"] = tree_cpu_seconds(server.pid)
    runs, began = _ask(metadata, "SELECT count(*) FROM public.dag_run"), time.perf_counter()
    peaks: dict[str, float] = {}
    while time.perf_counter() - began < minutes * 60:
        time.sleep(2)
        for name in PROCESSES:
            root = psutil.Process(airflow.pid(name))
            used = sum(
                one.memory_info().rss for one in (root, *root.children(recursive=True)) if one.is_running()
            )
            peaks[name] = max(peaks.get(name, 0), used / 1024 / 1024)
    seconds = time.perf_counter() - began
    with log.open(errors="replace") as lines:
        lines.seek(begin_at)
        loops = sorted(float(found[1]) for line in lines if (found := _LOOP.search(line)))
    made = _ask(metadata, "SELECT count(*) FROM public.dag_run") - runs
    waiting = _ask(metadata, "SELECT count(*) FROM public.task_instance WHERE state = 'scheduled'")
    if loops:
        print(
            f"airflow: {len(loops)} loops of the scheduler in {seconds:.0f} s: median "
            f"{statistics.median(loops):.0f} ms, 95 % within {loops[int(len(loops) * 0.95) - 1]:.0f} ms, "
            f"longest {loops[-1]:.0f} ms; {made} runs made, {waiting} tasks wait for a place",
            flush=True,
        )
    for name in PROCESSES:
        used = tree_cpu_seconds(airflow.pid(name)) - spent[name]
        print(
            f"airflow: {name}: {used / seconds * 100:.0f} % of a core, at most {peaks[name]:.0f} MiB",
            flush=True,
        )
    used = tree_cpu_seconds(server.pid) - spent["metadata database"]
    print(f"airflow: metadata database: {used / seconds * 100:.0f} % of a core", flush=True)
