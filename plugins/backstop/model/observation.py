"""What a watch saw of one target at one moment: all that pages, metrics and alerts tell of it.

It is kept as JSON in the inventory, so that whoever shows it asks no repository. Times are aware; sizes are
in bytes. ``None`` is "not known" or "does not apply", never zero.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta  # noqa: TC003 read at run time by what stores it


@dataclass(frozen=True, slots=True)
class BackupSeen:
    """One published backup.

    :param snapshot_at: the moment whose data it is.
    :param seconds: from its start to its publication.
    :param repositories: names of those that hold it.
    :param proven_in: those whose copy a restore has proven.
    """

    label: str
    snapshot_at: datetime
    finished_at: datetime
    seconds: float
    stored_bytes: int
    plain_bytes: int
    repositories: tuple[str, ...] = ()
    proven_in: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ForecastSeen:
    """How long a restore would take, from the durations of those before.

    :param median_seconds: as likely longer as shorter; between ``low_seconds`` and ``high_seconds`` in eight
        of ten cases.
    :param samples: restores it is based on.
    """

    median_seconds: float
    low_seconds: float
    high_seconds: float
    samples: int


@dataclass(frozen=True, slots=True)
class AccuracySeen:
    """How well forecasts of restores have hit, each made of the restores before it.

    :param judged: restores that could be forecast; :param within: of them those that lay in the interval.
    :param median_error: by how much the middling one was off, as a part of what it took: 0.1 is a tenth.
    :param median_error_seconds: the same in seconds.
    :param newest_at: when the newest of them ended.
    """

    judged: int
    within: int
    median_error: float
    median_error_seconds: float
    newest_at: datetime


@dataclass(frozen=True, slots=True)
class DrilledSeen:
    """What the last drill measured of one component.

    :param component: a kind. :param downtime: and :param loss: measured; None: not back, or not known.
    """

    component: str
    downtime: timedelta | None = None
    loss: timedelta | None = None
    rto_met: bool | None = None
    rpo_met: bool | None = None


@dataclass(frozen=True, slots=True)
class DrillSeen:
    """The last drill of a target.

    :param passed: everything came back, every check passed, nothing was left behind.
    :param objectives_met: None: there are none, or it is not known.
    :param accepted: what whoever signed it off said; None: nobody has yet.
    :param last_passed_at: when the last one that passed ended; None: none has.
    """

    drill_id: str
    scenario: str
    ended_at: datetime
    passed: bool
    objectives_met: bool | None = None
    accepted: bool | None = None
    last_passed_at: datetime | None = None
    components: tuple[DrilledSeen, ...] = ()


@dataclass(frozen=True, slots=True)
class ComponentSeen:
    """What is backed up as one.

    :param kind: ``dump`` the database by dumps, ``base`` the cluster by base backups and WAL,
        ``tree:<name>``.
    :param newest: the newest published backup; :param proven: the newest that is proven anywhere.
    :param proven_at: when the newest proof of this kind ended.
    :param schedule: cron fields in UTC, or None: on change or by hand.
    :param scheduled_since: since when that schedule is known; nothing was due by it before.
    :param due_at: when the newest backup was due; :param next_due_at: when the next one is.
    :param on_time: what was due is there, or still has time: ``backup_status`` is 1.
    :param loss: what would be lost if this kind were all there is, measured at the repositories.
    :param rpo: and :param rto: the objectives.
    :param forecast: of a restore of the newest backup, as verifications took; what WAL was written since is
        not counted.
    :param backups: how many there are, each counted once; :param proven_backups: of them proven somewhere.
    :param accuracy: of such forecasts, over proofs and drills; None: too few.
    """

    kind: str
    newest: BackupSeen | None = None
    proven: BackupSeen | None = None
    proven_at: datetime | None = None
    schedule: str | None = None
    due_at: datetime | None = None
    next_due_at: datetime | None = None
    on_time: bool = True
    loss: timedelta | None = None
    rpo: timedelta | None = None
    rto: timedelta | None = None
    forecast: ForecastSeen | None = None
    backups: int = 0
    proven_backups: int = 0
    scheduled_since: datetime | None = None
    accuracy: AccuracySeen | None = None


@dataclass(frozen=True, slots=True)
class RepositorySeen:
    """One repository, as far as this target goes.

    :param problem: in words, why it is not ``reachable`` or not ``writable``; empty when it is both.
    :param stored_bytes: what manifests and WAL of this target take there, shared objects once.
    :param backups: published there.
    :param missing_objects: that manifests name and nothing holds, or with another size, as far as looked at.
    :param answer_seconds: how long it took to answer a small request.
    :param damaged: labels of backups there that lack objects; they are looked at each time until they do not.
    :param listed_at: when everything there was last listed, for ``stored_bytes`` and old WAL.
    """

    name: str
    location: str
    reachable: bool
    writable: bool | None = None
    problem: str = ""
    stored_bytes: int | None = None
    backups: int | None = None
    missing_objects: int = 0
    free_bytes: int | None = None
    total_bytes: int | None = None
    answer_seconds: float | None = None
    damaged: tuple[str, ...] = ()
    listed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class WindowSeen:
    """A stretch of time to any moment of which one repository can recover the cluster.

    :param begins_at: the first moment; :param ends_at: the last, by the repository's clock.
    :param bases: labels of the base backups in it, oldest first.
    :param newest: it ends where the WAL of now is; else :param ends_because: in words.
    :param gap: more WAL is known to exist behind its end.
    """

    repository: str
    timeline: int
    begins_at: datetime
    ends_at: datetime
    begin_lsn: str
    end_lsn: str
    bases: tuple[str, ...] = ()
    newest: bool = False
    ends_because: str = ""
    gap: bool = False


@dataclass(frozen=True, slots=True)
class SlotSeen:
    """The replication slot that WAL is received from.

    :param state: ``active``, ``inactive``, ``missing`` or ``lost``.
    :param limit_bytes: ``max_slot_wal_keep_size``; None: not bounded.
    """

    name: str
    state: str
    retained_bytes: int | None = None
    limit_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class WalSeen:
    """Continuous archiving.

    :param observed_rpo: by repository: at most so much would be lost if only that one were left; None: it
        holds nothing of this cluster.
    :param behind_bytes: by repository: written by the server, and not stored there.
    """

    timeline: int | None = None
    server_position: str | None = None
    observed_rpo: dict[str, timedelta | None] = field(default_factory=dict)
    behind_bytes: dict[str, int] = field(default_factory=dict)
    slot: SlotSeen | None = None


@dataclass(frozen=True, slots=True)
class KeySeen:
    """A key that opens backups.

    :param key: as manifests name it.
    :param state: ``usable``, ``disabled``, ``pending deletion``, ``missing`` or ``unknown``.
    :param created_at: of its newest generation. :param rotation_due_at: when the next one is due.
    :param backups: that need it.
    """

    key: str
    state: str
    created_at: datetime | None = None
    rotation_due_at: datetime | None = None
    backups: int | None = None


@dataclass(frozen=True, slots=True)
class WriterSeen:
    """Another deployment that took a lease of the target within a day.

    :param airflow: its address. :param holder: of the newest lease, in words. :param took_at: when.
    """

    repository: str
    airflow: str
    holder: str
    took_at: datetime


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything about one target at ``observed_at``.

    :param took_seconds: how long looking took.
    :param clock_offsets: seconds that another clock (``database``, ``repository s3``) is ahead of ours.
    :param scratch_bytes: left over by verifications and restores that nobody runs any more.
    :param unseen: in words, what could not be looked at this time, and is therefore not known.
    :param first_observed_at: of the first watch of this target: nothing was due before it.
    :param drill: the last one; None: there was none.
    :param writers: other deployments.
    """

    target: str
    observed_at: datetime
    took_seconds: float
    components: tuple[ComponentSeen, ...] = ()
    repositories: tuple[RepositorySeen, ...] = ()
    windows: tuple[WindowSeen, ...] = ()
    wal: WalSeen | None = None
    keys: tuple[KeySeen, ...] = ()
    clock_offsets: dict[str, float] = field(default_factory=dict)
    scratch_bytes: int | None = None
    unseen: tuple[str, ...] = ()
    first_observed_at: datetime | None = None
    drill: DrillSeen | None = None
    writers: tuple[WriterSeen, ...] = ()

    def component(self, kind: str) -> ComponentSeen | None:
        """The one of that kind, if the target has it."""
        return next((one for one in self.components if one.kind == kind), None)

    def repository(self, name: str) -> RepositorySeen | None:
        """The one of that name, if the target uses it."""
        return next((one for one in self.repositories if one.name == name), None)
