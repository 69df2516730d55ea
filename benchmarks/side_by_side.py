"""The plain procedure and Backstop in turn, on the same servers and the same data, several rounds in one run.

    python benchmarks/side_by_side.py --scale 20 --rounds 3 --directory /var/tmp/backstop-benchmark

Scale 20 is about 2 GB. Prints each round, the ratios of the medians, stored bytes, and the memory of every
process; ``--json FILE`` keeps all figures. Backstop's times include compression, encryption, the fingerprint,
both repositories, and on restore the comparison; the plain procedure does none of these.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "plugins"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.measure import Cost, measure
from benchmarks.servers import BUCKET, CHECKOUT, Servers, running_servers

if TYPE_CHECKING:
    from collections.abc import Mapping

PLAIN_KEY = "plain/full.sql.gz"
MB = 1_000_000


class Rounds:
    """Takes the measurements."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        self.costs: dict[str, list[Cost]] = defaultdict(list)
        self.file = servers.home.root / "full.sql.gz"
        self.labels: list[str] = []

    def take(self, *, verify: bool) -> None:
        """One round: each step of the plain procedure followed by Backstop's."""
        self._step("plain backup", self._plain("back-up"), self.servers.plain_environment())
        self._step("Backstop backup", self._backstop("back-up-database", "--json"))
        report = json.loads(self.costs["Backstop backup"][-1].output)
        self.labels.append(report["label"])
        self._step(
            "plain restore",
            self._plain("restore", "--dbname", "calibrify_plain"),
            self.servers.plain_environment(),
        )
        self._step(
            "Backstop restore",
            self._backstop(
                "restore-database",
                "--label",
                report["label"],
                "--from",
                "s3",
                "--beside-only",
                "--yes",
                "--json",
            ),
        )
        if verify:
            self._step(
                "Backstop verify",
                self._backstop("verify", "--label", report["label"], "--repository", "s3", "--json"),
            )

    def stored_bytes(self) -> dict[str, int]:
        report = json.loads(self.costs["Backstop backup"][-1].output)
        return {"plain": self.file.stat().st_size, "Backstop": report["stored_bytes"]}

    def restore_phases(self) -> dict[str, float]:
        """Of the last restore."""
        return _phases(self.costs["Backstop restore"][-1])

    def seconds_without_analyze(self) -> float:
        """The median restore without its preparation, which the plain procedure leaves to autovacuum."""
        return statistics.median(
            cost.seconds - _phases(cost).get("prepare", 0.0) for cost in self.costs["Backstop restore"]
        )

    def _step(self, name: str, argv: list[str], env: Mapping[str, str] | None = None) -> None:
        self.servers.settle()
        cost = measure(
            argv,
            env=env or self.servers.backstop_environment(),
            cwd=CHECKOUT,
            servers=self.servers.pids,
        )
        self.costs[name].append(cost)
        print(f"  {name:<17} {cost.seconds:7.1f} s  {_cpu(cost)}", flush=True)

    def _plain(self, verb: str, *further: str) -> list[str]:
        script = str(CHECKOUT / "benchmarks" / "plain_procedure.py")
        place = ["--file", str(self.file), "--bucket", BUCKET, "--key", PLAIN_KEY]
        return [sys.executable, script, verb, *place, *further]

    def _backstop(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "backstop", *arguments]


def _phases(restore: Cost) -> dict[str, float]:
    phases: dict[str, float] = json.loads(restore.output)["validated"]["seconds"]
    return phases


def _cpu(cost: Cost) -> str:
    servers = ", ".join(f"{name} {seconds:.1f}" for name, seconds in cost.server_cpu_seconds.items())
    return f"CPU {cost.cpu_seconds:6.1f} s (+ {servers})"


def report(rounds: Rounds, size_bytes: int) -> dict[str, Any]:
    """Print the summary; returns all figures."""
    costs = rounds.costs
    median = {name: statistics.median(cost.seconds for cost in taken) for name, taken in costs.items()}
    cpu = {name: statistics.median(cost.all_cpu_seconds for cost in taken) for name, taken in costs.items()}
    stored = rounds.stored_bytes()
    ratios = {
        "backup faster": median["plain backup"] / median["Backstop backup"],
        "restore faster": median["plain restore"] / median["Backstop restore"],
        "restore faster, without ANALYZE": median["plain restore"] / rounds.seconds_without_analyze(),
        "backup CPU, servers included": cpu["plain backup"] / cpu["Backstop backup"],
        "restore CPU, servers included": cpu["plain restore"] / cpu["Backstop restore"],
        "stored bytes": stored["plain"] / stored["Backstop"],
    }
    taken = len(costs["plain backup"])
    print(f"\ndatabase {size_bytes / MB:,.0f} MB, {os.cpu_count()} CPUs, medians of {taken} rounds")
    for name in median:
        spread = ", ".join(f"{cost.seconds:.1f}" for cost in costs[name])
        print(f"  {name:<17} {median[name]:7.1f} s  ({spread})  all CPU {cpu[name]:6.1f} s")
    print("\nplain / Backstop (above 1: Backstop is better)")
    for name, ratio in ratios.items():
        print(f"  {name:<31} {ratio:5.2f} ×")
    print(f"\nstored: plain {stored['plain'] / MB:,.1f} MB, Backstop {stored['Backstop'] / MB:,.1f} MB")
    phases = rounds.restore_phases()
    print(
        "last restore's phases: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in phases.items())
    )
    print("\nlargest resident memory of one process (VmHWM), MB")
    peaks = {name: _largest(taken) for name, taken in costs.items()}
    for name, by_program in peaks.items():
        print(
            f"  {name:<17} "
            + ", ".join(f"{program} {size / MB:,.0f}" for program, size in by_program.items())
        )
    return {
        "database_bytes": size_bytes,
        "cpus": os.cpu_count(),
        "machine": platform.platform(),
        "costs": {
            name: [{key: value for key, value in asdict(cost).items() if key != "output"} for cost in taken]
            for name, taken in costs.items()
        },
        "median_seconds": median,
        "ratios": ratios,
        "stored_bytes": stored,
        "restore_phases": phases,
        "peak_rss_bytes": peaks,
    }


def _largest(taken: list[Cost]) -> dict[str, int]:
    largest: dict[str, int] = {}
    for cost in taken:
        for program, size in cost.peak_rss_bytes.items():
            largest[program] = max(largest.get(program, 0), size)
    return largest


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", type=float, default=20, help="1 is about 100 MB (default: %(default)g)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--directory", type=Path, help="keep servers and data here (default: a temporary one)"
    )
    parser.add_argument("--isolation", choices=["required", "none"], default="required")
    parser.add_argument("--no-verify", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with ExitStack() as stack:
        directory = options.directory or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = stack.enter_context(
            running_servers(directory, scale=options.scale, isolation=options.isolation)
        )
        rounds = Rounds(servers)
        for number in range(1, options.rounds + 1):
            print(f"round {number} of {options.rounds}")
            rounds.take(verify=not options.no_verify)
        figures = report(rounds, servers.size_bytes)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
