"""The archive directory shipped again and again, beside the receiver."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from backstop.commands.wal.directory import ship_directory
from backstop.errors import BackstopError
from backstop.postgres.replication import ReplicationConnection

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from backstop.crypto.key_encryption import Keyring
    from backstop.postgres.connection import ClusterConnection
    from backstop.repository.catalog import Repository

log = logging.getLogger(__name__)

PAUSE_SECONDS = 5.0


class DirectoryShipping:
    """A thread, while the ``with`` lasts; its last pass comes after that. None as directory: nothing to do.

    What goes wrong (a file of another cluster, a directory that cannot be read, a server that does not
    answer) is logged when it begins and when it has changed, and tried again: the files stay where they are
    until every repository has them, so it is the source's own disk that shows when nobody listens.
    """

    def __init__(
        self,
        *,
        target: str,
        cluster: ClusterConnection,
        directory: Path | None,
        repositories: Sequence[Repository],
        keyring: Keyring,
        spool: Path,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        self._target = target
        self._cluster = cluster
        self._directory = directory
        self._repositories = repositories
        self._keyring = keyring
        self._spool = spool
        self._pause_seconds = pause_seconds
        self._system_id = ""
        self._said: frozenset[str] = frozenset()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wal-directory", daemon=True)

    def __enter__(self) -> DirectoryShipping:
        if self._directory is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._directory is not None:
            self._thread.join()

    def _run(self) -> None:
        ended = False
        while not ended:
            ended = self._ended.wait(self._pause_seconds)
            try:
                self._say({str(problem) for problem in self._pass()})
            except BackstopError as error:
                self._say({str(error)})
            except Exception:
                log.exception("shipping %s failed; it is tried again", self._directory)

    def _pass(self) -> Sequence[BackstopError]:
        if self._directory is None:
            return ()
        if not self._system_id:
            with ReplicationConnection(self._cluster, application_name="backstop:directory") as connection:
                self._system_id = connection.identify().system_id
        return ship_directory(
            target=self._target,
            directory=self._directory,
            system_id=self._system_id,
            repositories=self._repositories,
            keyring=self._keyring,
            spool=self._spool,
        ).problems

    def _say(self, problems: set[str]) -> None:
        for sentence in sorted(problems - self._said):
            log.error("archive directory of %s: %s", self._target, sentence)
        if self._said and not problems:
            log.info("archive directory of %s: all is well again", self._target)
        self._said = frozenset(problems)
