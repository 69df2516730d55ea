"""How long a person waits for the command line: ``--help``, and ``list`` of 100 backups, each proven.

    python benchmarks/cli.py [--runs 9]

Prints seconds on the clock and CPU seconds, the median and the worst run. The aims are 0.3 s for ``--help``
and 1.5 s for ``list``; a busy machine misses them, so tests look at what is loaded instead
(tests/cli/test_loading.py), and these figures are for people.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "plugins"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, TrustedSigners, create_signing_keys
from backstop.storage.posix import PosixStorage
from benchmarks.measure import Cost, measure
from benchmarks.servers import CHECKOUT
from tests.making import STARTED, Maker

BACKUPS = 100
AIMS_SECONDS = {"--help": 0.3, "list": 1.5}


def make_repository(folder: Path) -> Path:
    """A directory with as many proven backups as a season leaves; returns the targets.yaml for it."""
    keyring = LocalKeyring.create(folder / "keyring.json", STARTED)
    signing = folder / "signing"
    create_signing_keys(signing)
    maker = Maker(
        PosixStorage(folder / "repository"),
        keyring,
        Signer.load(signing / "manifest.pem"),
        TrustedSigners.load(signing / "trusted.json"),
    )
    verifier = Signer.load(signing / "proof.pem")
    for day in range(BACKUPS):
        maker.prove(maker.publish(started_at=STARTED + timedelta(days=day)), signer=verifier)
    document = {
        "version": 1,
        "keys": {
            "lab": {
                "storage": "local",
                "path": str(folder / "keyring.json"),
                "signing": str(signing),
                "escrow": {"waived": "benchmark"},
            }
        },
        "repositories": {"local": {"type": "posix", "path": str(folder / "repository")}},
        "targets": {
            "calibrify": {
                "keys": "lab",
                "database": {"conn_id": "lab_backup", "dbname": "calibrify", "repositories": ["local"]},
            }
        },
    }
    targets = folder / "targets.yaml"
    targets.write_text(json.dumps(document), encoding="utf-8")  # JSON is YAML
    return targets


def timed(verb: str, *, runs: int, targets: Path) -> list[Cost]:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(CHECKOUT / "plugins"),
        "BACKSTOP_TARGETS": str(targets),
    }
    argv = [sys.executable, "-m", "backstop", verb]
    measure(argv, env=environment, cwd=CHECKOUT, servers={})  # compiles, and warms the file cache
    return [measure(argv, env=environment, cwd=CHECKOUT, servers={}) for _ in range(runs)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=9)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="backstop-benchmark-") as folder:
        targets = make_repository(Path(folder))
        load = os.getloadavg()[0]
        print(f"{arguments.runs} runs, {os.cpu_count()} cores, load {load:.1f} when started")
        print(f"{'':8}  {'seconds':>14}  {'CPU seconds':>14}  aim")
        for verb, aim in AIMS_SECONDS.items():
            costs = timed(verb, runs=arguments.runs, targets=targets)
            columns = [
                f"{statistics.median(values):5.2f} ≤ {max(values):5.2f}"
                for values in ([cost.seconds for cost in costs], [cost.cpu_seconds for cost in costs])
            ]
            print(f"{verb:8}  {columns[0]:>14}  {columns[1]:>14}  {aim} s")


if __name__ == "__main__":
    main()
