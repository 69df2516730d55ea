"""The WAL side of :mod:`benchmarks.physical`: segments stored, fetched and replayed a second, by each tool.

The server keeps every segment (its own archive_command fails meanwhile), so that all tools and rounds ship
the same ones: Backstop from a slot of its own for each round, the others as archive_command would call them.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from backstop.model.lsn import Lsn, WalSegment
from benchmarks.physical_tools import Backstop, BarmanCloud, PgBackRest

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.physical import Figures, Tool
    from benchmarks.physical_servers import PhysicalServers

_SINGLY = "Backstop, a process each"
_ASYNC = "pgBackRest async"
_FEW = 8
"""Segments for what starts a Python for each one."""


class WalRounds:
    """Writes the WAL once, then takes the rounds."""

    def __init__(
        self, figures: Figures, servers: PhysicalServers, *, segments: int, tools: list[Tool]
    ) -> None:
        self._figures = figures
        self._servers = servers
        self._count = segments
        self._ours = next(tool for tool in tools if isinstance(tool, Backstop))
        self._barman = next((tool for tool in tools if isinstance(tool, BarmanCloud)), None)
        self._pgbackrest = None
        if found := next((tool for tool in tools if isinstance(tool, PgBackRest)), None):
            self._pgbackrest = {"pgBackRest": found, _ASYNC: PgBackRest(servers, asynchronous=True)}
        self._folder = servers.home.root / "wal"
        self._folder.mkdir(exist_ok=True)

    def run(self, rounds: int, parts: list[str]) -> None:
        servers = self._servers
        self._system_id = str(servers.ask("SELECT system_identifier FROM pg_control_system()"))
        servers.ask("SELECT pg_switch_wal()")
        # A new slot begins at the last checkpoint.
        servers.ask("CHECKPOINT")
        servers.archive("/bin/false")
        servers.ask("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
        for number in range(1, rounds + 1):
            servers.ask(f"SELECT pg_create_physical_replication_slot('round_{number}', true)")
        first = WalSegment.containing(
            Lsn.parse(servers.ask("SELECT min(restart_lsn)::text FROM pg_replication_slots")), timeline=1
        )
        base = self._base() if "replay" in parts else None
        last = self._write(first)
        self._names = [WalSegment(1, number).name for number in range(first.number, last.number + 1)]
        self._list = self._named("all", self._names)
        self._few = self._named("few", self._names[:_FEW])
        for number in range(1, rounds + 1):
            print(f"WAL round {number} of {rounds}: {len(self._names)} segments")
            self._push(number, str(last.end))
            if "get" in parts:
                self._get(number)
            if base is not None:
                self._replay(number, base)
        servers.archive("/bin/true")

    def _write(self, first: WalSegment) -> WalSegment:
        """Rows like an application's, some repetition and some noise; returns the last whole segment."""
        servers = self._servers
        servers.ask(
            "CREATE TABLE IF NOT EXISTS readings "
            "(id bigint, device text, at timestamptz, value float8, note text)"
        )
        while True:
            servers.ask(
                "INSERT INTO readings SELECT g, 'device-' || g % 100, now() + g * interval '1 s', random(), "
                "md5(g::text) || ' calibrated within tolerance' FROM generate_series(1, 100000) AS g"
            )
            at = WalSegment.containing(
                Lsn.parse(servers.ask("SELECT pg_current_wal_flush_lsn()::text")), timeline=1
            )
            if at.number - first.number >= self._count:
                servers.ask("SELECT pg_switch_wal()")
                return at

    def _base(self) -> Path:
        """A restored base backup from before the WAL, owned by the server's account."""
        data = self._servers.home.root / "replay-base"
        shutil.rmtree(data, ignore_errors=True)
        environment, source = self._servers.environment(), self._servers.postgres.data
        argv = ["pg_basebackup", f"--pgdata={data}", "--checkpoint=fast", "--wal-method=none", "--no-sync"]
        where = [f"--host={self._servers.sockets}", f"--port={self._servers.postgres.port}"]
        self._servers.archive("/bin/true")
        subprocess.run([*argv, *where, "--username=postgres"], env=environment, check=True)
        self._servers.archive("/bin/false")
        # pg_basebackup waits until its WAL is archived; that must be shipped like the rest.
        for done in (source / "pg_wal" / "archive_status").glob("*.done"):
            done.rename(done.with_suffix(".ready"))
        subprocess.run(["/bin/chown", "-R", f"--reference={source}", str(data)], check=True)
        return data

    def _push(self, number: int, end: str) -> None:
        target, wal = f"wal{number}", str(self._servers.postgres.data / "pg_wal")
        step = self._ours.step("push", target, "--slot", f"round_{number}", "--end", end)
        self._take("push", "Backstop", step, len(self._names))
        self._figures.stored["push"]["Backstop"] = self._servers.stored_bytes(self._ours.prefix(target))
        for name, tool in (self._pgbackrest or {}).items():
            place = target if name == "pgBackRest" else f"{target}-async"
            tool.prepare(place)
            before = self._servers.stored_bytes(tool.prefix(place))
            argv = tool.command(place, "archive-push", f"{wal}/@name@")
            self._take("push", name, self._each(argv, self._list, reap=True), len(self._names))
            self._figures.stored["push"][name] = self._servers.stored_bytes(tool.prefix(place)) - before
        if number == 1:
            one = self._ours.step(
                "put_one", "singly", "--system-id", self._system_id, "--names", f"{wal}/@name@"
            )
            self._take("push", _SINGLY, self._each(one, self._few), _FEW)
            if self._barman is not None:
                argv = self._barman.push_one(target, f"{wal}/@name@")
                self._take("push", self._barman.name, self._each(argv, self._few), _FEW)

    def _get(self, number: int) -> None:
        target, folder = f"wal{number}", self._folder
        step = ["get", target, "--system-id", self._system_id, "--names", str(self._list)]
        self._take("get", "Backstop", self._ours.step(*step, "--destination", str(folder)), len(self._names))
        for name, tool in (self._pgbackrest or {}).items():
            place = target if name == "pgBackRest" else f"{target}-async"
            argv = tool.command(place, "archive-get", "@name@", f"{folder}/current")
            self._take("get", name, self._each(argv, self._list, reap=True), len(self._names))
        if number == 1:
            where = ["--names", "@name@", "--destination", f"{folder}/current"]
            one = self._ours.step("get_one", target, "--system-id", self._system_id, *where)
            self._take("get", _SINGLY, self._each(one, self._few), _FEW)
            if self._barman is not None:
                argv = self._barman.get_one(target, "@name@", f"{folder}/current")
                self._take("get", self._barman.name, self._each(argv, self._few), _FEW)

    def _replay(self, number: int, base: Path) -> None:
        target, data = f"wal{number}", self._servers.home.root / "replay"
        further = ["--system-id", self._system_id, "--names", str(self._list), "--destination", str(data)]
        runs = {"Backstop": self._ours.step("replay", target, *further)}
        if number == 1:
            runs[_SINGLY] = self._ours.step("replay_serially", target, *further)
        for name, tool in (self._pgbackrest or {}).items():
            place = target if name == "pgBackRest" else f"{target}-async"
            runs[name] = tool.replay(place, data)
        for name, argv in runs.items():
            shutil.rmtree(data, ignore_errors=True)
            subprocess.run(["/bin/cp", "-a", str(base), str(data)], check=True)
            self._take("replay", name, argv, len(self._names))
        shutil.rmtree(data, ignore_errors=True)

    def _take(self, step: str, tool: str, argv: list[str], segments: int) -> None:
        self._figures.units[step, tool] = segments
        self._figures.take(step, tool, argv)

    def _named(self, name: str, names: list[str]) -> Path:
        path = self._folder / f"{name}.names"
        path.write_text("\n".join(names) + "\n")
        return path

    def _each(self, argv: list[str], names: Path, *, reap: bool = False) -> list[str]:
        """The command once for each name, where ``@name@`` stands."""
        command = shlex.join(argv).replace("@name@", '"$name"').replace("'\"$name\"'", '"$name"')
        script = f"while read -r name; do {command} </dev/null; done <{shlex.quote(str(names))}"
        reaper = [sys.executable, "benchmarks/reaper.py"] if reap else []
        return [*reaper, "/bin/sh", "-ec", script]
