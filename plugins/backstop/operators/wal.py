"""Receive a target's WAL, or see that somebody does."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from backstop.errors import RecoveryPointError
from backstop.model.access import AccessRole
from backstop.operators.base import BackstopOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from backstop.commands.wal.state import ArchiverState

LASTS = timedelta(hours=6)
"""How long one run receives before the next takes over: a log of a size that can be read."""
_SAY_EVERY = 30


class ArchiveWalOperator(BackstopOperator):
    """Receive WAL and store it everywhere until the run has lasted long enough, or is ended.

    :param lasts: how long one run receives.
    """

    def __init__(self, *, target: str, lasts: timedelta = LASTS, **kwargs: Any) -> None:
        super().__init__(target=target, **kwargs)
        self.lasts = lasts
        self._stop: threading.Event | None = None

    def carry_out(self, context: Context) -> dict[str, Any]:
        from backstop.commands.wal.archive import archive_wal
        from backstop.commands.wal.directory_shipping import DirectoryShipping
        from backstop.hooks.target import TargetHook
        from backstop.settings.arguments import utc_now
        from backstop.settings.cluster import archive_directory, archive_settings

        hook = TargetHook(self.target, AccessRole.WRITER)
        repositories = hook.repositories()
        self._stop = stop = threading.Event()
        timer = threading.Timer(self.lasts.total_seconds(), stop.set)
        timer.daemon = True
        timer.start()
        told = _Teller(self)
        settings = archive_settings(hook.configuration, self.target, repositories)
        source: dict[str, Any] = {
            "target": self.target,
            "cluster": hook.cluster_for_replication(),
            "repositories": repositories,
            "keyring": hook.keyring(),
        }
        # A writer reads no WAL: what one repository has missed is copied from another as the sync does it.
        copying = TargetHook(self.target, AccessRole.SYNC)
        directory = archive_directory(hook.configuration, self.target)
        try:
            with DirectoryShipping(**source, directory=directory, spool=settings.spool):
                archive_wal(
                    **source,
                    settings=settings,
                    clock=utc_now,
                    stop=stop,
                    on_state=told,
                    reading=lambda name: copying.repository(name).storage,
                )
        finally:
            timer.cancel()
        return told.last.to_dict() if told.last else {}

    def on_kill(self) -> None:
        """Ship what has been received, then end."""
        if self._stop is not None:
            self._stop.set()


class _Teller:
    """Says in the task's log how things stand: at once when they change, else every half a minute."""

    def __init__(self, operator: BackstopOperator) -> None:
        self._log = operator.log
        self._said: tuple[Any, ...] = ()
        self._quiet = 0
        self.last: ArchiverState | None = None

    def __call__(self, state: ArchiverState) -> None:
        self.last = state
        repositories = tuple(one.standing for one in state.repositories.values())
        standing = (state.connected, state.last_error, repositories)
        self._quiet += 1
        if standing == self._said and self._quiet < _SAY_EVERY:
            return
        self._said, self._quiet = standing, 0
        where = ", ".join(f"{name} {one.standing}" for name, one in state.repositories.items())
        self._log.info(
            "%s at %s, confirmed %s; %s%s",
            "connected" if state.connected else "NOT CONNECTED",
            state.server_position,
            state.confirmed,
            where or "no repository asked yet",
            f"; {state.last_error}" if state.last_error else "",
        )


class WatchWalArchivingOperator(BackstopOperator):
    """Compare what the repositories have with where the server is.

    Fails when a disaster now would cost more than the recovery point objective allows, or WAL is missing.
    """

    def carry_out(self, context: Context) -> dict[str, Any]:
        from backstop.commands.wal.watch import observe_archiving
        from backstop.hooks.target import TargetHook
        from backstop.settings.arguments import utc_now
        from backstop.settings.cluster import archive_settings

        hook = TargetHook(self.target, AccessRole.WRITER)
        repositories = hook.repositories()
        seen = observe_archiving(
            target=self.target,
            cluster=hook.cluster_for_replication(),
            repositories=repositories,
            slot=archive_settings(hook.configuration, self.target, repositories).slot_of(self.target),
            now=utc_now,
        )
        late = seen.beyond(hook.target.database.objectives.rpo)
        for sentence in seen.sentences():
            self.log.info("%s", sentence)
        if late:
            raise RecoveryPointError("; ".join(late))
        return seen.to_dict()
