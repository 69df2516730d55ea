"""``archive-wal``: runs until it is told to end."""

from __future__ import annotations

import signal
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backstop.cli.output import say
from backstop.cli.session import Session
from backstop.commands.wal.archive import archive_wal as run
from backstop.commands.wal.directory_shipping import DirectoryShipping
from backstop.credentials import in_role
from backstop.model.access import AccessRole
from backstop.model.canonical import format_time
from backstop.settings.arguments import utc_now
from backstop.settings.cluster import archive_directory, archive_settings
from backstop.wiring import open_keyring, open_repositories, open_repository, replication_connection

if TYPE_CHECKING:
    import argparse

    from backstop.commands.wal.state import ArchiverState


def archive_wal(arguments: argparse.Namespace) -> int:
    session = Session(arguments, AccessRole.WRITER)
    named = session.configuration, session.target_name, session.credentials
    repositories = open_repositories(*named)
    settings = archive_settings(session.configuration, session.target_name, repositories)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        # What has been received is shipped before it ends; a second signal ends it at once.
        signal.signal(number, lambda *_: _end(stop))
    source: dict[str, Any] = {
        "target": session.target_name,
        "cluster": replication_connection(*named),
        "repositories": repositories,
        "keyring": open_keyring(*named),
    }
    # A writer reads no WAL: what one repository has missed is copied from another as the sync does it.
    copying = in_role(session.credentials, AccessRole.SYNC)
    directory = archive_directory(session.configuration, session.target_name)
    with DirectoryShipping(**source, directory=directory, spool=settings.spool):
        run(
            **source,
            settings=replace(
                settings, recreate_slot=arguments.recreate_slot, new_cluster=arguments.new_cluster
            ),
            clock=utc_now,
            stop=stop,
            on_state=_Teller(),
            reading=lambda name: open_repository(*named[:2], name, copying).storage,
        )
    return 0


def _end(stop: threading.Event) -> None:
    if stop.is_set():
        sys.exit(1)
    stop.set()


class _Teller:
    """One line on stderr whenever something changes: a service manager's log has the rest of the story."""

    def __init__(self) -> None:
        self._said = ""

    def __call__(self, state: ArchiverState) -> None:
        where = ", ".join(
            f"{name} {one.standing}{f' ({one.error})' if one.error else ''}"
            for name, one in state.repositories.items()
        )
        standing = (
            f"{'connected' if state.connected else 'not connected'}; {where or 'no repository asked yet'}"
        )
        if state.last_error:
            standing += f"; {state.last_error}"
        if standing != self._said:
            self._said = standing
            say(f"{format_time(state.at)} {state.target}: {standing}; confirmed {state.confirmed}")
