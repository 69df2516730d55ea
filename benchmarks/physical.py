"""Base backups, restores and WAL of Backstop, pgBackRest and barman-cloud in turn: same servers, same data.

    python -m benchmarks.physical --rounds 3 --parts backup,files,restore,incremental,push,get,replay

Scale 4 is about 400 MB of database; barman-cloud has one round. Prints each round, then for every step the
medians of seconds, CPU seconds (the tool's own; with the servers'), stored bytes and the largest process, and
the ratio to Backstop's (above 1: Backstop is better). What is not installed is named and left out.
BACKSTOP_PG_BIN names another PostgreSQL than the distribution's 15; pgBackRest must know its version.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "plugins"))

from benchmarks.measure import Cost, measure
from benchmarks.physical_servers import DATABASE, PhysicalServers, physical_servers
from benchmarks.physical_tools import Backstop, BarmanCloud, PgBackRest
from benchmarks.physical_wal import WalRounds
from benchmarks.servers import CHECKOUT

MB = 1_000_000
PARTS = ("backup", "files", "restore", "incremental", "push", "get", "replay")
Tool = Backstop | PgBackRest | BarmanCloud


@dataclass
class Figures:
    """Every measurement, by step and tool."""

    servers: PhysicalServers
    costs: dict[str, dict[str, list[Cost]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    stored: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    units: dict[tuple[str, str], int] = field(default_factory=dict)
    """Segments in one step of a tool, for those that are counted in segments a second."""

    def take(self, step: str, tool: str, argv: list[str]) -> Cost:
        self.servers.settle()
        cost = measure(argv, env=self.servers.environment(), cwd=CHECKOUT, servers=self.servers.pids)
        self.costs[step][tool].append(cost)
        servers = ", ".join(f"{name} {seconds:.1f}" for name, seconds in cost.server_cpu_seconds.items())
        print(
            f"  {step:<12} {tool:<26} {cost.seconds:7.2f} s  CPU {cost.cpu_seconds:6.2f} s (+ {servers})",
            flush=True,
        )
        return cost


def base_round(figures: Figures, tools: list[Tool], parts: list[str], number: int) -> None:
    """One full backup by each, restored into a new directory, then an incremental one."""
    servers = figures.servers
    target = "base"
    backups = {}
    if number > 1:
        # Its gzip takes a minute for what the others do in seconds: once is enough.
        tools = [tool for tool in tools if not isinstance(tool, BarmanCloud)]
    if "files" in parts:
        # The same backup, read on the server's host: what comes behind it is the same.
        tools = [*tools, *(Backstop(servers, readers=readers) for readers in (1, 2))]
    if number % 2 == 0:
        # A machine that grows busier or quieter favours nobody.
        tools = tools[::-1]
    for tool in tools:
        before = servers.stored_bytes(tool.prefix(target))
        cost = figures.take("backup", tool.name, tool.backup(target, "full"))
        figures.stored["backup"][tool.name] = servers.stored_bytes(tool.prefix(target)) - before
        backups[tool.name] = tool.backup_id(target, cost.output)
    tools = [tool for tool in tools if not (isinstance(tool, Backstop) and tool.readers)]
    if "restore" in parts:
        for tool in tools:
            _restore(figures, "restore", tool, backups[tool.name])
    if "incremental" in parts:
        _incremental(figures, tools, number)


def _incremental(figures: Figures, tools: list[Tool], number: int) -> None:
    """A twentieth of the largest table changes in between."""
    servers = figures.servers
    servers.ask(f"UPDATE calibrations SET id = id WHERE id % 20 = {number}", DATABASE)
    for tool in tools:
        if isinstance(tool, BarmanCloud) or (isinstance(tool, Backstop) and servers.major < 17):
            continue
        before = servers.stored_bytes(tool.prefix("base"))
        cost = figures.take("incremental", tool.name, tool.backup("base", "incr"))
        figures.stored["incremental"][tool.name] = servers.stored_bytes(tool.prefix("base")) - before
        _restore(figures, "chain", tool, tool.backup_id("base", cost.output))


def _restore(figures: Figures, step: str, tool: Tool, backup: str) -> None:
    destination = figures.servers.home.root / "restored"
    shutil.rmtree(destination, ignore_errors=True)
    figures.take(step, tool.name, tool.restore("base", backup, destination))
    assert (destination / "global/pg_control").exists()
    shutil.rmtree(destination)


def report(figures: Figures) -> dict[str, Any]:
    """Print the summary; returns all figures."""
    summary: dict[str, Any] = {}
    for step, by_tool in figures.costs.items():
        print(f"\n{step}")
        ours = _medians(by_tool["Backstop"]) if "Backstop" in by_tool else None
        ours_of = figures.units.get((step, "Backstop"), 1)
        for tool, costs in by_tool.items():
            median = _medians(costs)
            stored = figures.stored[step].get(tool)
            spread = ", ".join(f"{one.seconds:.2f}" for one in costs)
            line = f"  {tool:<26} {median['seconds']:7.2f} s ({spread})"
            line += f"  CPU {median['cpu']:6.2f} s, with servers {median['all_cpu']:6.2f} s"
            if stored:
                line += f"  {stored / MB:7.1f} MB stored"
            line += f"  {median['rss'] / MB:4.0f} MB"
            units = figures.units.get((step, tool), 1)
            if units > 1:
                line += f"  {units / median['seconds']:6.1f} segments/s"
            if ours and tool != "Backstop":
                ratios = {
                    name: median[name] / units / ours[name] * ours_of
                    for name in ("seconds", "cpu", "all_cpu")
                }
                if stored and (own := figures.stored[step].get("Backstop")):
                    ratios["stored"] = stored / own
                line += "  / Backstop: " + ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items())
                median["ratios"] = ratios  # type: ignore[assignment]
            print(line)
            summary.setdefault(step, {})[tool] = {**median, "stored": stored}
    return {
        "cpus": os.cpu_count(),
        "machine": platform.platform(),
        "summary": summary,
        "costs": {
            step: {tool: [_plain(cost) for cost in costs] for tool, costs in by_tool.items()}
            for step, by_tool in figures.costs.items()
        },
    }


def _medians(costs: list[Cost]) -> dict[str, float]:
    return {
        "seconds": statistics.median(cost.seconds for cost in costs),
        "cpu": statistics.median(cost.cpu_seconds for cost in costs),
        "all_cpu": statistics.median(cost.all_cpu_seconds for cost in costs),
        "rss": max(max(cost.peak_rss_bytes.values(), default=0) for cost in costs),
    }


def _plain(cost: Cost) -> dict[str, Any]:
    return {name: value for name, value in asdict(cost).items() if name != "output"}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", type=float, default=4, help="1 is about 100 MB (default: %(default)g)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--segments", type=int, default=60, help="of WAL, 16 MB each")
    parser.add_argument("--parts", default=",".join(PARTS), help="default: %(default)s")
    parser.add_argument(
        "--directory", type=Path, help="keep servers and data here (default: a temporary one)"
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    parts = options.parts.split(",")
    with ExitStack() as stack:
        directory = options.directory or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="physical-", dir="/var/tmp"))
        )
        servers = stack.enter_context(physical_servers(directory, scale=options.scale))
        tools = _tools(servers)
        figures = Figures(servers)
        size = servers.ask("SELECT sum(pg_database_size(oid)) FROM pg_database")
        print(
            f"PostgreSQL {servers.ask('SHOW server_version')}, {size / MB:,.0f} MB, {os.cpu_count()} CPUs, "
            f"load {os.getloadavg()[0]:.1f}"
        )
        for number in range(1, options.rounds + 1):
            print(f"round {number} of {options.rounds}")
            if not {"backup", "restore", "incremental"}.isdisjoint(parts):
                for tool in tools:
                    tool.prepare("base")
                base_round(figures, tools, parts, number)
        if not {"push", "get", "replay"}.isdisjoint(parts):
            WalRounds(figures, servers, segments=options.segments, tools=tools).run(options.rounds, parts)
        told = report(figures)
    if options.json:
        options.json.write_text(json.dumps(told, indent=1))
    return 0


def _tools(servers: PhysicalServers) -> list[Tool]:
    found: list[Tool] = []
    for tool in (Backstop(servers), PgBackRest(servers), BarmanCloud(servers)):
        if missing := tool.missing:
            print(f"without {tool.name}: {missing}")
        else:
            found.append(tool)
    return found


if __name__ == "__main__":
    sys.exit(main())
