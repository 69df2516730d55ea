"""What a hundred targets in a directory of files cost, part by part.

    python benchmarks/fleet.py [--targets 100] [--parts load,plan,parse,watch,airflow]

load     reading the files: the first time in a process, again, and after one has changed
plan     the runs of a week by the clock: how many DAGs, the most in one minute, with H and with fixed times
parse    each DAG file in a process of its own, as Airflow's DAG processor does it
watch    one run of watch_backups over all of them (empty repositories, a server that answers), and the page
airflow  a real scheduler and DAG processor with all of it: until everything is known, then its loops; no pool
         has a place, so that runs come to be and no task starts

What a watch of repositories with a year in them costs is measured by ``benchmarks/watching.py``. The load of
the machine is printed beside: CPU seconds say more than seconds on a busy one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(CHECKOUT / "plugins"), str(CHECKOUT)]

from benchmarks.fleet_files import write_fleet  # noqa: E402

MONDAY = datetime(2026, 11, 23, tzinfo=timezone.utc)
PARTS = ("load", "plan", "parse", "watch", "airflow")

LOADING = """
import json, resource, sys, time
from pathlib import Path
began, cpu = time.perf_counter(), time.process_time()
from backstop.targets import load_targets
imported = [time.perf_counter() - began, time.process_time() - cpu]
def timed():
    began, cpu = time.perf_counter(), time.process_time()
    load_targets()
    return [time.perf_counter() - began, time.process_time() - cpu]
first, again = timed(), timed()
file = Path(sys.argv[1]); file.write_text(file.read_text() + "#\\n")
changed = timed()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
told = {"importing": imported, "first": first, "again": again, "one file changed": changed, "peak": peak}
print(json.dumps(told))
"""

PARSING = """
import json, resource, sys, time, warnings
warnings.simplefilter("ignore")
import airflow.sdk, airflow.serialization.serialized_objects
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1], safe_mode=False, collect_dags=False)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began, cpu = time.perf_counter(), time.process_time()
bag.process_file(sys.argv[2], only_if_updated=False, safe_mode=True)
seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
assert not bag.import_errors, bag.import_errors
crons = {}
for dag in bag.dags.values():
    table = dag.timetable
    tables = getattr(table, "timetables", None) or [getattr(table, "timetable", table)]
    crons[dag.dag_id] = [one.expression for one in tables if hasattr(one, "expression")]
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
tasks = sum(len(dag.tasks) for dag in bag.dags.values())
told = {"seconds": seconds, "cpu": cpu, "before": before, "peak": peak, "tasks": tasks, "crons": crons}
print("told" + json.dumps({**told, "dags": len(bag.dags)}))
"""


def environment(home: Path, targets: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": os.pathsep.join([str(CHECKOUT / "plugins"), str(CHECKOUT)]),
        "BACKSTOP_TARGETS": str(targets),
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(CHECKOUT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(CHECKOUT / "plugins"),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
    }


def python(code: str, *arguments: str, home: Path, targets: Path) -> dict:
    argv = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(
        argv, env=environment(home, targets), cwd=home, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return json.loads(done.stdout[done.stdout.index("{") :])


def measure_loading(home: Path, targets: Path) -> None:
    told = python(LOADING, str(targets / "system-001.yaml"), home=home, targets=targets)
    peak = told.pop("peak")
    for what, (seconds, cpu) in told.items():
        print(f"load: {what}: {seconds:.3f} s, {cpu:.3f} s of CPU")
    print(f"load: memory at most {peak / 1024:.0f} MiB", flush=True)


def measure_parsing(home: Path, targets: Path) -> dict[str, list[str]]:
    """Prints a row a file. :returns: cron fields by DAG."""
    crons: dict[str, list[str]] = {}
    total = Counter()
    print(f"parse: {'file':28}{'DAGs':>6}{'tasks':>7}{'s':>8}{'CPU s':>8}{'MiB':>6}{'of which ours':>15}")
    for file in sorted((CHECKOUT / "dags").glob("*.py")):
        told = python(PARSING, str(CHECKOUT / "dags"), str(file), home=home, targets=targets)
        crons |= told["crons"]
        total.update({key: told[key] for key in ("dags", "tasks", "seconds", "cpu")})
        peak, ours = told["peak"] / 1024, (told["peak"] - told["before"]) / 1024
        print(
            f"parse: {file.name:28}{told['dags']:>6}{told['tasks']:>7}{told['seconds']:>8.2f}"
            f"{told['cpu']:>8.2f}{peak:>6.0f}{ours:>15.0f}",
            flush=True,
        )
    print(
        f"parse: {'all':28}{total['dags']:>6}{total['tasks']:>7}{total['seconds']:>8.2f}{total['cpu']:>8.2f}",
        flush=True,
    )
    return crons


def simulate_plan(crons: dict[str, list[str]], what: str) -> None:
    """A week, minute by minute."""
    from croniter import croniter

    due: Counter[datetime] = Counter()
    moving: Counter[datetime] = Counter()
    end = MONDAY + timedelta(days=7)
    for dag_id, expressions in crons.items():
        for cron in expressions:
            times = croniter(cron, MONDAY - timedelta(seconds=1))
            while (at := times.get_next(datetime)) < end:
                due[at] += 1
                moving[at] += dag_id.startswith(("back_up_", "take_base_backup"))
    (busiest, most), runs = due.most_common(1)[0], sum(due.values())
    (_, backups) = moving.most_common(1)[0]
    print(
        f"plan, {what}: {len(crons)} DAGs, {runs} runs a week, {runs / 10080:.1f} a minute on average; "
        f"at most {most} in one minute ({busiest:%a %H:%M}), of backups at most {backups}",
        flush=True,
    )


def as_before(crons: dict[str, list[str]]) -> dict[str, list[str]]:
    """The same plan with every time written out, as defaults were."""
    fixed = {
        "back_up_database": ["0 1 * * *"],
        "back_up_files": ["0 2 * * *"],
        "take_base_backup": ["0 3 * * 0", "0 3 * * 1-6"],
        "expire_backups": ["30 4 * * *"],
        "check_repositories": ["@weekly"],
        "check_keys": ["40 3 * * *"],
        "sync_repositories": ["47 * * * *"],
        "archive_wal": ["*/5 * * * *"],
        "run_drill": ["0 6 1 * *"],
    }
    return {dag_id: fixed.get(dag_id.partition("__")[0], found) for dag_id, found in crons.items()}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--targets", type=int, default=100)
    arguments.add_argument("--parts", default=",".join(PARTS))
    arguments.add_argument("--minutes", type=float, default=6, help="how long Airflow is watched")
    given = arguments.parse_args()
    parts = given.parts.split(",")
    with tempfile.TemporaryDirectory(prefix="backstop-fleet-") as folder:
        home = Path(folder)
        home.chmod(0o711)
        targets = write_fleet(home, given.targets)
        (home / "airflow").mkdir(mode=0o700)
        size = sum(file.stat().st_size for file in targets.iterdir())
        load = os.getloadavg()[0]
        print(
            f"{given.targets} target files, {size / 1024:.0f} KiB; load of the machine {load:.1f}", flush=True
        )
        if "load" in parts:
            measure_loading(home, targets)
        if "parse" in parts or "plan" in parts:
            crons = measure_parsing(home, targets)
            simulate_plan(crons, "H")
            simulate_plan(as_before(crons), "fixed times")
        if "watch" in parts:
            from benchmarks.fleet_watch import watch_fleet

            watch_fleet(home, targets, given.targets)
        if "airflow" in parts:
            from benchmarks.fleet_airflow import run_airflow

            began = time.perf_counter()
            run_airflow(home, targets, minutes=given.minutes)
            print(f"airflow: {time.perf_counter() - began:.0f} s in all", flush=True)


if __name__ == "__main__":
    main()
