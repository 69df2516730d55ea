"""Is this directory, here, the data directory of the server that answers over there? Asked before a copy.

A cut-over leaves the former directory beside the new one: of the same cluster, with the same system
identifier. Another host has its own, under the same path.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backstop.errors import SourceError
from backstop.postgres.cluster_files import TABLESPACES
from backstop.postgres.connection import source_errors
from backstop.postgres.control_file import read_control_file
from backstop.postgres.file_access import file_error
from backstop.sql import load_sql

if TYPE_CHECKING:
    from collections.abc import Callable

    from backstop.postgres.connection import ClusterConnection
    from backstop.postgres.control_file import ControlFile
    from backstop.postgres.low_level_backup import LowLevelBackup

_ROLE_SQL = "include/sql/roles/file_copy_role.sql"
_OVER_THE_NETWORK = "take the base backup over the network"
_HINT = (
    "let cluster.file_copy.data_directory name the directory that this server runs on, as the worker on its "
    f"host sees it; or {_OVER_THE_NETWORK} (--over-network)"
)
# The lock file says when the server began to start, the server when it had its memory.
_START_TOLERANCE_SECONDS = 600
_TRIES = 5
_PG_DEFAULT = 1663
"""pg_tablespace.dat: its files are in ``base``."""
_PAUSE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class LocalCluster:
    """A running server's data directory, on this host.

    :param cluster: how the role that may copy it connects.
    :param data: where it is for us; :param server_data: where it is for the server.
    """

    cluster: ClusterConnection
    data: Path
    server_data: str


@dataclass(frozen=True, slots=True)
class _Server:
    location: str
    role: str
    database: str
    in_recovery: bool
    version: int
    port: int
    started_at: float
    forbidden: list[str]


def check_local_cluster(cluster: ClusterConnection, data: Path, *, system_id: str) -> LocalCluster:
    """Nothing is started, and nothing written.

    :param system_id: of the server.
    :raises SourceError: it is another's directory, the server is a standby, or a right is missing.
    :raises IntegrityError: its pg_control is damaged.
    """
    with cluster.connect(application_name="backstop:base") as session, source_errors(cluster.location):
        row = session.execute(load_sql("backup/facts")).fetchone()
    if row is None:  # pragma: no cover - a SELECT without FROM
        raise AssertionError
    server = _Server(cluster.location, *row)
    _refuse_standby(server)
    _refuse_forbidden(server)
    try:
        server_data = _refuse_another(data, server)
        _refuse_cluster(data, server, read_control_file(data), system_id)
    except FileNotFoundError as error:
        raise _another(data, server, f"{Path(error.filename).name} is not in it") from error
    return LocalCluster(cluster, data, server_data)


def refuse_other_checkpoint(
    backup: LowLevelBackup, data: Path, *, location: str, pause: Callable[[float], None] = time.sleep
) -> ControlFile:
    """The server has just made a checkpoint: only where it runs does ``pg_control`` tell of that one.

    :returns: what ``pg_control`` says.
    :raises SourceError: it tells of another.
    """
    for _ in range(_TRIES):
        # The next checkpoint may come in between.
        before = backup.checkpoint()
        control = read_control_file(data)
        found = control.checkpoint, control.redo, control.timeline
        if any(found == (one.location, one.redo, one.timeline) for one in (before, backup.checkpoint())):
            return control
        pause(_PAUSE_SECONDS)
    raise SourceError(
        f"{data} is not the data directory of {location}: the server's newest checkpoint is at "
        f"{before.location}, the directory's at {control.checkpoint}",
        hint=_HINT,
    )


def refuse_other_folders(backup: LowLevelBackup, data: Path) -> None:
    """Where a database has files for the server, it has a folder for us: by each tablespace's link, too.

    A tablespace is often a disk of its own. Where that is not mounted for us, or not any more, its files are
    gone, and a file that is gone is left out: asked before everything is read, and afterwards.

    :raises SourceError: there is none.
    """
    lacking = _lacking(backup, data)
    # One that was dropped in between is the server's own doing.
    if lacking and (lacking := lacking & _lacking(backup, data)):
        tablespace, database = min(lacking)
        raise SourceError(
            f"database {database} has files in tablespace {tablespace} of the server, and "
            f"{_folder(data, tablespace)}, as it is seen here, has no folder of it",
            hint="let the worker see the disks of the server's tablespaces at the same paths, or "
            f"{_OVER_THE_NETWORK} (--over-network)",
        )


def _lacking(backup: LowLevelBackup, data: Path) -> set[tuple[int, int]]:
    return {
        (tablespace, database)
        for tablespace, databases in backup.databases().items()
        for database in databases
        if not any(_folder(data, tablespace).glob(_in_folder(tablespace, database)))
    }


def _folder(data: Path, tablespace: int) -> Path:
    return data / "base" if tablespace == _PG_DEFAULT else data / TABLESPACES / str(tablespace)


def _in_folder(tablespace: int, database: int) -> str:
    return str(database) if tablespace == _PG_DEFAULT else f"PG_*/{database}"


def _refuse_standby(server: _Server) -> None:
    if server.in_recovery:
        raise SourceError(
            f"{server.location} is a standby: how far a copy of its files must be replayed is known to the "
            "server alone",
            hint=f"{_OVER_THE_NETWORK} (--over-network), or of the primary",
        )


def _refuse_forbidden(server: _Server) -> None:
    if server.forbidden:
        functions = ", ".join(server.forbidden)
        raise SourceError(
            f"{server.location}: role {server.role} may not execute {functions}",
            hint=f"as a superuser in database {server.database}: GRANT EXECUTE ON FUNCTION {functions} TO "
            f'"{server.role}" ({_ROLE_SQL}); or {_OVER_THE_NETWORK} (--over-network)',
        )


def _refuse_another(data: Path, server: _Server) -> str:
    """By what lies in the directory while a server runs there (``src/include/utils/pidfile.h``)."""
    with file_error(str(data)):
        version = (data / "PG_VERSION").read_text().strip()
        lines = (data / "postmaster.pid").read_text(errors="surrogateescape").splitlines()
    if version != str(server.version // 10000):
        raise _another(
            data, server, f"it is of PostgreSQL {version}, the server is {server.version // 10000}"
        )
    try:
        server_data, started_at, port = lines[1], int(lines[2]), int(lines[3])
    except (IndexError, ValueError) as error:
        raise _another(data, server, "its postmaster.pid is not whole") from error
    if port != server.port:
        raise _another(data, server, f"its server listens on port {port}, this one on {server.port}")
    if abs(server.started_at - started_at) > _START_TOLERANCE_SECONDS:
        raise _another(data, server, "the server whose lock file is in it started at another time")
    return server_data.rstrip("/")


def _refuse_cluster(data: Path, server: _Server, control: ControlFile, system_id: str) -> None:
    if control.system_id != system_id:
        raise _another(data, server, f"it is of cluster {control.system_id}, the server is {system_id}")
    if not control.in_production:
        raise _another(data, server, "no primary runs on it")


def _another(data: Path, server: _Server, why: str) -> SourceError:
    return SourceError(f"{data} is not the data directory of {server.location}: {why}", hint=_HINT)
