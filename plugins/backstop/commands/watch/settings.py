"""What a watch expects of one target's repositories."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 part of a dataclass
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backstop.commands.proof.work import Policies
    from backstop.commands.sync.settings import SyncSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedKind:
    """What is backed up as one.

    :param kind: ``dump``, ``base`` or ``tree:<name>``.
    :param schedules: cron fields in UTC, each of which asks for a backup; empty: on change, or by hand.
    :param full_schedule: of ``base``: what asks for a full one; part of ``schedules`` too.
    :param repositories: names of those that should have it.
    :param has_wal: what it lacks is in the WAL: its loss is not counted from its backups.
    :param on_change: it is backed up when something has changed, and may be old for that.
    """

    kind: str
    schedules: tuple[str, ...] = ()
    full_schedule: str | None = None
    repositories: tuple[str, ...] = ()
    rpo: timedelta | None = None
    rto: timedelta | None = None
    has_wal: bool = False
    on_change: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedDrills:
    """Which rehearsals are expected.

    :param scheduled: some are; else only what those that there were have shown is judged.
    :param due_every: so old the last one that passed may be.
    :param sign_off_within: so long nobody need have signed one off; None: nobody has to.
    """

    scheduled: bool = False
    due_every: timedelta = timedelta(days=35)
    sign_off_within: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSettings:
    """Thresholds and rules.

    :param policies: what is to be proven, by repository.
    :param sync: what each repository should have.
    :param late_after: and :param prove_within: see ``targets/watch.py``.
    :param sync_grace: what one repository lacks for no longer than this, the hourly sync brings.
    :param wal_repositories: names of those that should have the cluster's WAL.
    :param drills: see ``targets/drill.py``.
    """

    kinds: tuple[WatchedKind, ...]
    policies: Mapping[str, Policies]
    sync: SyncSettings
    late_after: timedelta
    prove_within: timedelta
    sync_grace: timedelta = timedelta(hours=2)
    wal_repositories: tuple[str, ...] = ()
    drills: ExpectedDrills = ExpectedDrills()

    def kind(self, name: str) -> WatchedKind | None:
        """The one of that name, if targets.yaml (still) names it."""
        return next((one for one in self.kinds if one.kind == name), None)
