"""The server of a restored component, for as long as somebody asks it something.

No server outlives the process that started it, so a drill that is killed leaves none behind, and every step
may be another process: starting costs a second.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from backstop.postgres.isolated_server import IsolatedServer, socket_directory
from backstop.postgres.isolation import Isolation
from backstop.postgres.recovery import RecoveredCluster, ServerChoice
from backstop.postgres.recovery_settings import RecoveryStop
from backstop.postgres.scratch import scratch_settings
from backstop.postgres.tools import PostgresTools

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backstop.commands.drill.restored import RestoredComponent
    from backstop.postgres.connection import ClusterConnection
    from backstop.postgres.isolation import Way

_LOCK = "serving.lock"


def server_folder(folder: Path) -> Path:
    """Where the server's log and socket are while it runs. :param folder: of the component."""
    return folder / f"server-{folder.name}"


def server_sockets(folder: Path) -> Path:
    """The directory of its socket. :param folder: of the component."""
    return socket_directory(server_folder(folder), "")


@contextmanager
def serving(restored: RestoredComponent, *, hide: Sequence[Path] = ()) -> Iterator[ClusterConnection]:
    """The restored server, to be asked by its superuser in the target's database: no network, one socket.

    Whoever comes second waits until the first has done.

    :param hide: what it must not see even where system directories hold it.
    :raises ScratchError: it does not start.
    """
    with _room(restored) as folder:
        if restored.component == "base":
            with _recovered(restored, folder, hide) as cluster:
                cluster.start_again()
                yield cluster.connection(restored.database)
                # In good order, for whoever looks at its files next.
                cluster.shut_down()
            return
        server = _loaded(restored, folder, hide)
        try:
            server.start()
            yield server.connection(restored.database)
            server.shut_down()
        finally:
            server.stop()


def check_pages(restored: RestoredComponent, *, hide: Sequence[Path] = ()) -> int | None:
    """How many pages the stopped cluster has whose checksums are right; None: it has no checksums.

    :raises IntegrityError: some pages are damaged.
    """
    with _room(restored) as folder, _recovered(restored, folder, hide) as cluster:
        return cluster.check_pages()


def _recovered(restored: RestoredComponent, folder: Path, hide: Sequence[Path]) -> RecoveredCluster:
    choice = ServerChoice(_tools(restored), _isolation(restored), superuser=restored.user, hide=hide)
    return RecoveredCluster(
        folder,
        data=Path(restored.data),
        spool=folder / "spool",
        choice=choice,
        stop=RecoveryStop("latest"),
        tablespaces=[Path(one) for one in restored.tablespaces],
    )


def _loaded(restored: RestoredComponent, folder: Path, hide: Sequence[Path]) -> IsolatedServer:
    isolation, sockets = _isolation(restored), Path(restored.socket)
    (folder / "root").mkdir()
    sockets.mkdir(mode=0o700)
    if isolation.owner != os.geteuid():
        os.chown(sockets, isolation.owner, -1)
    return IsolatedServer(
        restored.server_major,
        bin_dir=_tools(restored).bin_dir.resolve(),
        data=Path(restored.data),
        folder=folder,
        sockets=sockets,
        isolation=isolation,
        superuser=restored.user,
        settings=scratch_settings(restored.server_major),
        hide=hide,
    )


def _tools(restored: RestoredComponent) -> PostgresTools:
    return PostgresTools.find(restored.server_major, server=True)


def _isolation(restored: RestoredComponent) -> Isolation:
    """The same as when it was restored: its files belong to that user id."""
    kind = cast("Way", restored.isolation_kind)
    return Isolation(kind=kind, description=restored.isolation, uid=restored.isolation_uid)


@contextmanager
def _room(restored: RestoredComponent) -> Iterator[Path]:
    """An empty folder for a server; nobody else runs one on this data meanwhile."""
    place = Path(restored.folder)
    folder = server_folder(place)
    descriptor = os.open(place / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _clear(folder, Path(restored.socket))  # of one that was killed
        folder.mkdir(mode=0o711 if restored.isolation_kind == "none" else 0o700)
        try:
            yield folder
        finally:
            _clear(folder, Path(restored.socket))
    finally:
        os.close(descriptor)


def _clear(*folders: Path) -> None:
    for folder in folders:
        if folder.exists():
            shutil.rmtree(folder)
