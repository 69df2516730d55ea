"""The short part of a restore that users notice: stop, rename, start, probe; and the way back."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from backstop.commands.application import run_commands
from backstop.errors import BackstopError, CommandError, RestoreError, SwapBlockedError
from backstop.postgres import databases, swap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from backstop.postgres.connection import ClusterConnection

_MAINTENANCE_DATABASE = "postgres"


class Exchange(Protocol):
    """Which database takes which name; a :class:`~backstop.commands.database.plan.RestorePlan` is one."""

    @property
    def database(self) -> str:
        """The live name."""

    @property
    def beside(self) -> str:
        """What takes the live name."""

    @property
    def old(self) -> str:
        """The name that what is live now will be kept under."""


@dataclass(frozen=True, slots=True)
class Names:
    """An exchange without a backup: the way back to a former database.

    :param beside_oid: which database bore the name ``beside`` when this was planned.
    """

    database: str
    beside: str
    old: str
    beside_oid: int | None = None


@dataclass(frozen=True, slots=True)
class ApplicationCommands:
    """What stops, starts and probes the application; each an argv, run without a shell."""

    stop: Sequence[Sequence[str]] = ()
    start: Sequence[Sequence[str]] = ()
    probe: Sequence[Sequence[str]] = ()
    timeout: timedelta = timedelta(seconds=60)

    def run(self, purpose: str) -> None:
        """``stop``, ``start`` or ``probe``. :raises CommandError: one failed."""
        run_commands(getattr(self, purpose), purpose=purpose, timeout=self.timeout)


@dataclass(frozen=True, slots=True)
class SwapOutcome:
    """What a swap did.

    :param live: the name that now holds the restored data; :param kept: where the former data is.
    :param closed_seconds: for how long nobody could connect.
    :param downtime_seconds: from stopping the application until its probe answered.
    :param disconnected: sessions that were ended.
    """

    live: str
    kept: str | None
    closed_seconds: float
    downtime_seconds: float
    disconnected: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def check_swap_in(
    plan: Exchange, *, server: ClusterConnection, accept_logical_slots: bool, beside_oid: int | None = None
) -> None:
    """Refuse what would stop the swap half-way. Changes nothing.

    :param beside_oid: as for :func:`swap_in`.
    :raises RestoreError: there is nothing to swap in, or not what was validated.
    :raises SwapBlockedError: something in the live database forbids it; each reason is named.
    """
    with server.connect(dbname=_MAINTENANCE_DATABASE) as session:
        found = databases.database_oid(session, plan.beside)
        if found is None:
            raise RestoreError(f"there is no database {plan.beside}", hint="restore beside first, then swap")
        if beside_oid is not None and found != beside_oid:
            raise RestoreError(
                f"{plan.beside} is not the database that was validated: another restore has made it anew",
                hint="see who restores the same backup; validate the copy again, then swap",
            )
        if not databases.exists(session, plan.database):
            return
        blockers = swap.check_swap(
            session, plan.database, plan.beside, plan.old, accept_logical_slots=accept_logical_slots
        )
    if blockers:
        raise SwapBlockedError(
            f"{plan.database} cannot be swapped: " + "; ".join(blockers),
            hint=f"clear what is named, then swap; the restored copy waits in {plan.beside}",
        )


def swap_in(
    plan: Exchange,
    *,
    server: ClusterConnection,
    application: ApplicationCommands,
    accept_logical_slots: bool,
    beside_oid: int | None = None,
) -> SwapOutcome:
    """Put the validated copy in the live database's place.

    Whatever fails, the application is started again and the live name accepts connections: on the old data
    if the renames did not happen, on the new if they did. Where the live database is gone, the copy takes
    its name, and nothing is kept.

    :param beside_oid: what :meth:`~backstop.commands.database.restore.DatabaseRestore.validate` looked at.
        A name is not enough: a second restore of the same backup drops the copy and begins anew under it.
    :raises SwapBlockedError: something in the live database forbids it; nothing was stopped.
    :raises CommandError: a command failed; the message says which data is live.
    """
    check_swap_in(plan, server=server, accept_logical_slots=accept_logical_slots, beside_oid=beside_oid)
    administrator = server.with_database(_MAINTENANCE_DATABASE)
    with administrator.connect() as session:
        live_exists = databases.exists(session, plan.database)

    def rename() -> swap.SwapReport:
        if live_exists:
            return swap.swap(
                administrator, live=plan.database, beside=plan.beside, old=plan.old, beside_oid=beside_oid
            )
        swap.put_in_place(administrator, live=plan.database, beside=plan.beside, beside_oid=beside_oid)
        return swap.SwapReport(disconnected=0, seconds_closed=0.0, old="")

    return _swapped(rename, live=plan.database, application=application, live_exists=live_exists)


def plan_swap_back(
    database: str, *, former: str, server: ClusterConnection, accept_logical_slots: bool, now: datetime
) -> tuple[Names, list[str]]:
    """Which database to go back to, under which name the present one is kept, and what would stop it now.

    Carry it out with :func:`swap_in`: going back is a swap like any other.

    What is live now is kept as former data, never as a restored copy, which the next restore of that label
    would drop: it holds what was committed since the swap.

    :param former: its name; may be empty where only one is kept. The name says when its swap was planned, not
        when it was put aside, so with several of them somebody has to choose.
    :raises RestoreError: there is none, not of that name, or several and none was named.
    """
    with server.connect(dbname=_MAINTENANCE_DATABASE) as session:
        kept = databases.kept_databases(session, database)
        if not kept:
            raise RestoreError(
                f"{server.location} keeps no former {database}: there is nothing to go back to",
                hint="it was never swapped, or was gone when a restored one took its name, or the former one "
                "has been dropped; another backup can be restored",
            )
        if former and former not in kept:
            raise RestoreError(f"{former} is no former {database}", hint=f"choose one of: {', '.join(kept)}")
        if not former and len(kept) > 1:
            raise RestoreError(
                f"{server.location} keeps {len(kept)} former {database}: {', '.join(kept)}",
                hint="name the one to go back to: in the form, or behind --swap-back",
            )
        beside = former or kept[0]
        names = Names(
            database=database,
            beside=beside,
            old=databases.free_old_name(session, database, now),
            beside_oid=databases.database_oid(session, beside),
        )
        blockers = (
            swap.check_swap(
                session, database, names.beside, names.old, accept_logical_slots=accept_logical_slots
            )
            if databases.exists(session, database)
            else []
        )
    return names, blockers


def reopen(plan: Exchange, *, server: ClusterConnection, application: ApplicationCommands) -> list[str]:
    """Put right what a swap whose worker was killed may have left: doors closed, application stopped.

    :returns: databases that had been closed.
    """
    with server.connect(dbname=_MAINTENANCE_DATABASE) as session:
        reopened = swap.reopen(session, plan.database, plan.beside)
    application.run("start")
    application.run("probe")
    return reopened


def _swapped(
    rename: Callable[[], swap.SwapReport],
    *,
    live: str,
    application: ApplicationCommands,
    live_exists: bool,
) -> SwapOutcome:
    stopped_at = time.monotonic()
    report: swap.SwapReport | None = None
    try:
        application.run("stop")
        report = rename()
    except BaseException as error:
        # The application comes back on the data it had, also when somebody presses Ctrl-C; why the swap
        # failed is what must be read.
        try:
            application.run("start")
        except CommandError as start_error:
            why = error.message if isinstance(error, BackstopError) else f"the swap ended: {error!r}"
            as_it_was = f"{live} holds its old data and accepts connections"
            if not live_exists:
                as_it_was = f"there is no database {live}, as before"
            raise CommandError(
                f"{why}; and then {start_error.message}", hint=f"{as_it_was}; start the application by hand"
            ) from error
        raise
    try:
        application.run("start")
        application.run("probe")
    except CommandError as error:
        raise CommandError(
            f"{live} holds the restored data, but {error.message}",
            hint=f"mend the application, or swap back to {report.old}"
            if report.old
            else "mend the application; there was no live database, so there is nothing to swap back to",
        ) from error
    return SwapOutcome(
        live=live,
        kept=report.old or None,
        closed_seconds=round(report.seconds_closed, 3),
        downtime_seconds=round(time.monotonic() - stopped_at, 3),
        disconnected=report.disconnected,
    )
