"""How long Airflow's importing of the DAG folder takes for many targets, and where the time goes.

    python benchmarks/parsing.py [--targets 100] [--alone]

Each target has a database, a cluster and two trees. Every DAG file is imported in one process, as Airflow's
``DagBag`` does, after Airflow itself; the aim is 5 s for 100 targets. Airflow's DAG processor imports each
file in a process of its own, which is the column *alone*.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
AIM_SECONDS = 5.0


def targets_document(count: int) -> dict[str, object]:
    """targets.yaml with so many targets of everything."""
    repositories = {
        "local": {"type": "posix", "path": "/var/backups/backstop"},
        "s3": {"type": "s3", "bucket": "backups", "conn_id": "backstop_s3", "region": "eu-central-1"},
    }
    key = {
        "storage": "local",
        "path": "/etc/backstop/keys/keyring.json",
        "signing": "/etc/backstop/keys/signing",
        "escrow": {"waived": "benchmark"},
    }
    return {
        "version": 1,
        "keys": {"site": key},
        "repositories": repositories,
        "inventory": {"conn_id": "backstop_inventory"},
        "targets": {f"system-{number:03}": _target(number) for number in range(count)},
    }


def _target(number: int) -> dict[str, object]:
    kept = {"local": "7d", "s3": "30d"}
    return {
        "keys": "site",
        "description": f"System number {number}",
        "tags": ["site"],
        "database": {
            "conn_id": f"backup_{number}",
            "restore_conn_id": f"restore_{number}",
            "dbname": f"system_{number}",
            "schedule": f"{number % 60} 1 * * *",
            "repositories": ["local", "s3"],
            "retention": kept,
            "objectives": {"rto": "1h", "rpo": "5m"},
            "verify": {
                "queries": [{"name": "rows are there", "sql": "SELECT count(*) > 0 FROM a", "expect": True}]
            },
        },
        "cluster": {
            "conn_id": f"replication_{number}",
            "full": "0 3 * * 0",
            "incremental": "0 3 * * 1-6",
            "recovery": {"directory": f"/var/lib/postgresql/recovered/{number}"},
        },
        "check": {"schedule": "0 5 * * 0"},
        "expiry": {"schedule": "30 4 * * *"},
        "trees": {
            "media": {"paths": [f"/srv/{number}/media"], "schedule": "0 2 * * *", "retention": kept},
            "config": {"paths": [f"/etc/system-{number}"], "schedule": "30 2 * * *", "retention": kept},
        },
    }


IN_ONE = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
began = time.process_time(); clock = time.monotonic()
import airflow.sdk
from airflow.dag_processing.dagbag import DagBag
told = {"airflow": [time.monotonic() - clock, time.process_time() - began]}
times = {}
bag = DagBag(sys.argv[1], safe_mode=False, collect_dags=False)
began = time.process_time(); clock = time.monotonic()
for name in sorted(sys.argv[2:]):
    file_began, file_clock = time.process_time(), time.monotonic()
    bag.process_file(name, only_if_updated=False, safe_mode=False)
    times[name] = [time.monotonic() - file_clock, time.process_time() - file_began]
told["folder"] = [time.monotonic() - clock, time.process_time() - began]
assert not bag.import_errors, bag.import_errors
told |= {"files": times, "dags": len(bag.dags), "tasks": sum(len(dag.tasks) for dag in bag.dags.values())}
json.dump(told, sys.stdout)
"""


def imported(files: list[Path], targets: Path, home: Path) -> dict[str, object]:
    """Import these DAG files in a fresh process."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": os.pathsep.join([str(CHECKOUT / "plugins"), str(CHECKOUT)]),
        "BACKSTOP_TARGETS": str(targets),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(CHECKOUT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(CHECKOUT / "plugins"),
        "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "300",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
    }
    argv = [sys.executable, "-c", IN_ONE, str(CHECKOUT / "dags"), *map(str, files)]
    done = subprocess.run(argv, env=environment, cwd=home, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    return json.loads(done.stdout[done.stdout.index('{"airflow"') :])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--targets", type=int, default=100)
    arguments.add_argument("--alone", action="store_true", help="also import each file by itself")
    given = arguments.parse_args()
    files = sorted((CHECKOUT / "dags").glob("*.py"))
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        targets = home / "targets.yaml"
        import yaml

        targets.write_text(yaml.safe_dump(targets_document(given.targets), sort_keys=False), encoding="utf-8")
        together = imported(files, targets, home)
        print(f"{given.targets} targets: {together['dags']} DAGs, {together['tasks']} tasks")
        print(f"{'':32}{'seconds':>10}{'CPU':>10}{'alone':>10}")
        rows = [("airflow itself", together["airflow"])]
        rows += [(Path(name).name, cost) for name, cost in together["files"].items()]
        for name, (clock, cpu) in rows:
            alone = ""
            if given.alone and name.endswith(".py"):
                one = imported([CHECKOUT / "dags" / name], targets, home)
                alone = f"{one['folder'][0]:.2f}"
            print(f"{name:32}{clock:>10.2f}{cpu:>10.2f}{alone:>10}")
        clock, cpu = together["folder"]
        print(f"{'the DAG folder':32}{clock:>10.2f}{cpu:>10.2f}   aim {AIM_SECONDS:.0f} s")


if __name__ == "__main__":
    main()
