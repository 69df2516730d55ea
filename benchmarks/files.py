"""Backups of one file tree by Backstop, restic, borg and tar in turn: same data, same S3 server.

    python -m benchmarks.files --rounds 3 --files 15000 --megabytes 600

Each round: a first backup, one of the untouched tree, one after 1 % of the files changed, and the newest one
restored into a new folder. Prints each step, then for every step the medians of seconds, CPU seconds (the
tool's own; with the S3 server's), stored bytes and the largest process, and the ratio to Backstop's (above 1:
Backstop is better). What is not installed is named and left out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "plugins"))

from benchmarks.files_data import change_tree, make_tree
from benchmarks.files_tools import Backstop, Borg, FilesBench, Restic, Tar, Tool
from benchmarks.measure import Cost, measure
from embedded.configuration import BUCKET, REGION, create_keys
from embedded.files import write_private
from embedded.home import CHECKOUT, Home
from embedded.seaweedfs import EmbeddedSeaweedFS

if TYPE_CHECKING:
    from collections.abc import Iterator

MB = 1_000_000
STEPS = ("first", "unchanged", "changed", "restore")


@dataclass
class Figures:
    """Every measurement, by step and tool."""

    bench: FilesBench
    server: int
    costs: dict[str, dict[str, list[Cost]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    stored: dict[str, dict[str, list[int]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    restored: list[Path] = field(default_factory=list)
    """What the tools have restored in this round."""

    def backup(self, step: str, tool: Tool) -> None:
        before = tool.stored_bytes()
        self._take(step, tool, tool.backup())
        self.stored[step][tool.name].append(tool.stored_bytes() - before)

    def restore(self, tool: Tool, *, compare: bool) -> None:
        self._take("restore", tool, tool.restore())
        if compare:
            subprocess.run(["/usr/bin/diff", "-rq", self.bench.source, tool.restored()], check=True)
        # Removed when all have restored: ext4 is slow to make files right after so many were deleted, which
        # would be held against the next tool.
        self.bench.destination.rename(self.bench.root / f"restored-{len(self.restored)}")
        self.restored.append(self.bench.root / f"restored-{len(self.restored)}")

    def _take(self, step: str, tool: Tool, argv: list[str]) -> None:
        os.sync()
        cost = measure(argv, env=self.bench.environment, cwd=CHECKOUT, servers={"s3": self.server})
        self.costs[step][tool.name].append(cost)
        servers = cost.server_cpu_seconds["s3"]
        print(
            f"  {step:<10} {tool.name:<20} {cost.seconds:7.2f} s  CPU {cost.cpu_seconds:6.2f} s "
            f"(+ s3 {servers:.1f})",
            flush=True,
        )


def one_round(figures: Figures, tools: list[Tool], number: int) -> None:
    """All tools do the same step before the tree changes."""
    if number % 2 == 0:
        # A machine that grows busier or quieter favours nobody.
        tools = tools[::-1]
    for tool in tools:
        tool.prepare(number)
    for tool in tools:
        figures.backup("first", tool)
    for tool in tools:
        figures.backup("unchanged", tool)
    changed = change_tree(figures.bench.source, share=0.01, seed=number)
    print(f"  changed files of {changed / MB:.1f} MB")
    for tool in tools:
        figures.backup("changed", tool)
    for tool in tools:
        figures.restore(tool, compare=number == 1)
    while figures.restored:
        shutil.rmtree(figures.restored.pop())


def report(figures: Figures) -> dict[str, Any]:
    """Print the summary; returns all figures."""
    summary: dict[str, Any] = {}
    for step in STEPS:
        print(f"\n{step}")
        ours: dict[str, float] = {}
        for tool, costs in figures.costs[step].items():
            median = _medians(costs, figures.stored[step][tool])
            if tool == Backstop.name:
                ours = median
            line = f"  {tool:<20} {median['seconds']:7.2f} s  CPU {median['cpu']:6.2f} s"
            line += f", with server {median['all_cpu']:6.2f} s  {median['rss'] / MB:4.0f} MB"
            if "stored" in median:
                line += f"  {median['stored'] / MB:8.3f} MB stored"
            summary.setdefault(step, {})[tool] = dict(median)
            if tool != Backstop.name and ours:
                ratios = {name: median[name] / ours[name] for name in median if ours.get(name)}
                line += "  / Backstop: " + ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items())
                summary[step][tool]["ratios"] = ratios
            print(line)
    if {"first", "unchanged"} <= set(summary):
        share = summary["unchanged"][Backstop.name]["cpu"] / summary["first"][Backstop.name]["cpu"]
        print(f"\nBackstop, unchanged: {share:.1%} of the CPU of its first backup")
    return {
        "cpus": os.cpu_count(),
        "machine": platform.platform(),
        "summary": summary,
        "costs": {
            step: {tool: [_plain(cost) for cost in costs] for tool, costs in by_tool.items()}
            for step, by_tool in figures.costs.items()
        },
    }


def _medians(costs: list[Cost], stored: list[int]) -> dict[str, float]:
    return {
        "seconds": statistics.median(cost.seconds for cost in costs),
        "cpu": statistics.median(cost.cpu_seconds for cost in costs),
        "all_cpu": statistics.median(cost.all_cpu_seconds for cost in costs),
        "rss": max(max(cost.peak_rss_bytes.values(), default=0) for cost in costs),
        **({"stored": statistics.median(stored)} if stored else {}),
    }


def _plain(cost: Cost) -> dict[str, Any]:
    return {name: value for name, value in asdict(cost).items() if name != "output"}


@contextmanager
def files_bench(directory: Path) -> Iterator[tuple[FilesBench, int]]:
    """An S3 server and keys; also the server's process id."""
    home = Home(directory.absolute())
    home.prepare()
    create_keys(home)
    with EmbeddedSeaweedFS(home.seaweedfs, buckets=[BUCKET], die_with_parent=True) as s3:
        told = {
            "access": s3.access_key,
            "secret": s3.secret_key,
            "endpoint": s3.endpoint_url,
            "bucket": BUCKET,
            "keyring": str(home.keyring),
            "signing": str(home.signing),
            "spool": str(home.root / "spool"),
        }
        write_private(home.root / "step.json", json.dumps(told))
        write_private(home.root / "password", "benchmark\n")
        write_private(
            home.root / "aws",
            f"[default]\naws_access_key_id={s3.access_key}\naws_secret_access_key={s3.secret_key}\n",
        )
        environment = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(home.root),
            "AWS_SHARED_CREDENTIALS_FILE": str(home.root / "aws"),
            "AWS_DEFAULT_REGION": REGION,
            "RESTIC_PASSWORD_FILE": str(home.root / "password"),
            "BORG_PASSCOMMAND": f"cat {home.root / 'password'}",
            "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
        }
        bench = FilesBench(
            root=home.root,
            told=home.root / "step.json",
            bucket=BUCKET,
            endpoint_url=s3.endpoint_url,
            environment=environment,
            client=_client(s3),
        )
        if s3.pid is None:
            raise RuntimeError("the S3 server has ended")
        yield bench, s3.pid


def _client(s3: EmbeddedSeaweedFS) -> Any:
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=s3.endpoint_url,
        region_name=REGION,
        aws_access_key_id=s3.access_key,
        aws_secret_access_key=s3.secret_key,
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--files", type=int, default=15_000)
    parser.add_argument("--megabytes", type=int, default=600)
    parser.add_argument("--without", default="", help="tools to leave out, by name, separated by commas")
    parser.add_argument("--directory", type=Path, help="keep everything here (default: a temporary one)")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with ExitStack() as stack:
        directory = options.directory or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="files-", dir="/var/tmp"))
        )
        bench, server = stack.enter_context(files_bench(directory))
        if not bench.source.exists():
            make_tree(bench.source, files=options.files, total_bytes=options.megabytes * MB)
        tools = _tools(bench, options.without.split(","))
        size = sum(path.stat().st_size for path in bench.source.rglob("*") if path.is_file())
        print(
            f"{options.files:,} files, {size / MB:,.0f} MB, {os.cpu_count()} CPUs, "
            f"load {os.getloadavg()[0]:.1f}"
        )
        figures = Figures(bench, server)
        for number in range(1, options.rounds + 1):
            print(f"round {number} of {options.rounds}")
            one_round(figures, tools, number)
        told = report(figures)
    if options.json:
        options.json.write_text(json.dumps(told, indent=1))
    return 0


def _tools(bench: FilesBench, without: list[str]) -> list[Tool]:
    found: list[Tool] = []
    for tool in (Backstop(bench), Restic(bench), Borg(bench), Tar(bench)):
        if tool.name.split()[0] in without:
            continue
        if tool.missing:
            print(f"without {tool.name}: {tool.missing}")
        else:
            found.append(tool)
    return found


if __name__ == "__main__":
    sys.exit(main())
