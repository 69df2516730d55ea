"""What is found out before a recovery: where its target lies, where WAL ends, and whether there is space."""

from __future__ import annotations

import secrets
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from backstop.commands.recovery.look import look_for_restore_point, look_for_transaction
from backstop.commands.recovery.sources import route_of, routes_to_look_along
from backstop.commands.recovery.stored_wal import WalStretch
from backstop.commands.staging import staging_directory
from backstop.errors import RestoreError
from backstop.model.recovery import TargetKind, plan_recovery
from backstop.postgres.recovery_settings import RecoveryStop

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from backstop.commands.wal.route import WalRoute
    from backstop.commands.wal.sources import WalSource
    from backstop.model.backup import Manifest
    from backstop.model.lsn import Lsn
    from backstop.model.recovery import RecoveryPlan, RecoverySources, RecoveryTarget
    from backstop.postgres.recovery_settings import StopKind
    from backstop.postgres.tools import PostgresTools

# WAL that a server keeps until its next restart point (recovery_settings.py), and some air.
_KEPT_WAL_BYTES = 4 * 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class WalSight:
    """Reads stored WAL for a plan.

    :param staging: where a private folder may be made.
    """

    staging: Path
    sources: Sequence[WalSource]
    tools: PostgresTools

    def plan(
        self, first: RecoveryPlan, goal: RecoveryTarget, sources: RecoverySources, *, now: datetime
    ) -> RecoveryPlan:
        """The plan anew with what only WAL itself tells.

        :param first: what was planned by names alone.
        :raises RecoveryImpossibleError: the goal is not there, and what is.
        :raises IntegrityError: WAL in which it may lie is damaged.
        """
        if goal.kind is TargetKind.TIME:
            return plan_recovery(goal, sources, now=now, last_commit_at=self.end(first)[1])
        if goal.name is None and goal.xid is None:
            return first
        with self._stretches(routes_to_look_along(goal, sources, now=now)) as stretches:
            if goal.name is not None:
                look = look_for_restore_point(goal.name, stretches)
            else:
                look = look_for_transaction(goal.xid or 0, stretches)
        return plan_recovery(goal, sources, now=now, look=look)

    def end(self, plan: RecoveryPlan) -> tuple[Lsn | None, datetime | None]:
        """Where the plan's last record begins, and when the last transaction near it committed."""
        with self._stretches([route_of(plan)]) as stretches:
            return stretches[0].end()

    def last_commit(self, plan: RecoveryPlan, *, look_back: int) -> datetime | None:
        """When the last transaction committed. :param look_back: how many segments are looked into for it."""
        with self._stretches([route_of(plan)]) as stretches:
            return stretches[0].end(look_back=look_back)[1]

    def last_commit_by(self, moment: datetime, plan: RecoveryPlan, *, first: int, end: Lsn) -> Lsn | None:
        """Where the last transaction that had committed by the moment did so; None: none did from there on.

        :param first: number of the segment to begin with; :param end: nothing behind it is looked into.
        """
        with self._stretches([replace(route_of(plan), end=end)]) as stretches:
            return stretches[0].last_commit_by(moment, first=first)

    @contextmanager
    def _stretches(self, routes: Sequence[WalRoute]) -> Iterator[list[WalStretch]]:
        with staging_directory(self.staging, f"look-{secrets.token_hex(4)}") as folder:
            stretches = []
            for number, route in enumerate(routes):
                place = folder / str(number)
                place.mkdir(mode=0o700)
                stretches.append(WalStretch(route, self.sources, self.tools, place))
            yield stretches


def refuse_without_space(
    parent: Path, plan: RecoveryPlan, chain: Sequence[Manifest], *, ahead_bytes: int
) -> None:
    """:raises RestoreError: what is to be recovered does not fit there."""
    copies = sum(manifest.plain_bytes for manifest in chain)
    combined = chain[0].plain_bytes if len(chain) > 1 else 0
    wal = min(route_of(plan).size_bytes, _KEPT_WAL_BYTES)
    needed = copies + combined + wal + min(ahead_bytes, wal)
    free = shutil.disk_usage(parent).free
    if free < needed:
        raise RestoreError(
            f"{parent} has {free} bytes free; this recovery needs {needed}",
            hint="free space there, or choose another place",
        )


def stop_of(plan: RecoveryPlan) -> RecoveryStop:
    """The plan's target in PostgreSQL's settings.

    What was found in WAL is named by its position: a name may have been used twice, and recovery would stop
    at the older one.
    """
    given = plan.settings
    kind = plan.target.kind.value
    value = given.get(f"recovery_target_{kind}", "")
    if plan.target.kind in (TargetKind.NAME, TargetKind.XID) and plan.stop_lsn is not None:
        kind, value = TargetKind.LSN.value, str(plan.stop_lsn)
    return RecoveryStop(
        kind=cast("StopKind", kind),
        value=value,
        # A restore point changes nothing; PostgreSQL always stops behind it.
        inclusive=plan.target.inclusive or plan.target.kind is TargetKind.NAME,
        timeline=plan.timeline,
    )
