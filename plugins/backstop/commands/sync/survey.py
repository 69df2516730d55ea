"""Looks at every repository of a target, and decides what each should get from the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.commands.expiry.survey import believable, survey
from backstop.commands.sync.decision import decide
from backstop.commands.sync.holdings import read_holdings
from backstop.commands.sync.holds import held_among, missing_holds
from backstop.commands.sync.wal import list_wal, plan_wal, wal_seen
from backstop.errors import BackstopError
from backstop.repository.holds import Holds
from backstop.repository.twins import refuse_twins

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from backstop.commands.sync.holdings import Holdings
    from backstop.commands.sync.report import RepositorySync
    from backstop.commands.sync.settings import SyncSettings
    from backstop.commands.sync.wal import StoredWal, WalPlan
    from backstop.model.backup import BackupLabel
    from backstop.model.hold import Hold
    from backstop.repository.catalog import Repository
    from backstop.repository.inventory import Inventory


@dataclass(frozen=True, slots=True)
class Work:
    """What one repository should get.

    :param labels: of backups, in order; :param stored_bytes: of those. Less is copied where parts are there.
    :param holds: documents about holds that it lacks.
    """

    sources: tuple[Repository, ...]
    labels: tuple[BackupLabel, ...]
    stored_bytes: int
    wal: WalPlan
    holds: tuple[tuple[BackupLabel, bytes], ...]

    @property
    def is_nothing(self) -> bool:
        return not (self.labels or self.wal.items or self.holds)


@dataclass(slots=True)
class Survey:
    """What every repository of a target holds, as far as it answers.

    :param sources: names of those to copy from, the preferred first.
    :param inventory: knows what was expired on purpose; without it, retention alone decides.
    :param failed: repositories that could not be read, and why.
    :param notes: sentences about what was found.
    """

    settings: SyncSettings
    sources: Collection[str]
    inventory: Inventory | None
    failed: dict[str, BackstopError] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _holdings: dict[str, Holdings] = field(default_factory=dict)
    _wal: dict[str, StoredWal] = field(default_factory=dict)
    _held: Mapping[BackupLabel, Sequence[str]] = field(default_factory=dict)

    def read(self, repositories: Sequence[Repository], *, now: datetime) -> None:
        """Manifests, holds and the names of WAL. One that fails is named, and the others are read."""
        with_backups: list[Repository] = []
        held: list[Mapping[BackupLabel, Sequence[Hold]]] = []
        for repository in repositories:
            try:
                holdings = read_holdings(repository)
                if holdings.cards:
                    refuse_twins(repository, with_backups)
                    with_backups.append(repository)
                wal = list_wal(repository)
                holds = Holds(repository).all()
            except BackstopError as error:
                self.failed[repository.name] = error
                self.notes.append(f"{repository.name} could not be read: {error}")
                continue
            self._holdings[repository.name] = holdings
            held.append(holds)
            self._wal[repository.name] = wal
            unbelieved = (*holdings.unreadable.values(), *holdings.strays)
            self.notes += [f"{repository.name}: {error}" for error in unbelieved]
        cards = [card for one in self._holdings.values() for card in one.cards.values()]
        newest = max((card.candidate.finished_at for card in cards), default=None)
        self._held = held_among(held, now=believable(now, newest))
        self._note_strays()

    def _note_strays(self) -> None:
        """Nothing is left where it is silently."""
        strays: dict[str, set[BackupLabel]] = {}
        for holdings in self._holdings.values():
            for label in holdings.cards:
                if not self.settings.places(label):
                    strays.setdefault(label.tree or label.kind.value, set()).add(label)
        self.notes += [
            f"{len(labels)} backups of {what} stay where they are: targets.yaml does not name it any more"
            for what, labels in strays.items()
        ]

    def work_for(self, name: str, report: RepositorySync, *, now: datetime) -> Work:
        """What this repository should get; what it cannot get goes into its report.

        :raises BackstopError: it, or a source, cannot be asked.
        """
        if name in self.failed:
            raise self.failed[name]
        own = self._holdings[name]
        others = [
            self._holdings[other] for other in self.sources if other in self._holdings and other != name
        ]
        wal = [self._wal[other.name] for other in others] if name in self.settings.wal_places else []
        wanted = decide(
            own,
            others,
            settings=self.settings,
            now=now,
            held=self._held,
            seen=wal_seen([self._wal[name], *wal]),
            as_it_is=lambda: survey(own.repository, now=now, hidden=False).candidates,
            gone=self._gone(own.repository),
        )
        report.unwanted = wanted.unwanted
        report.lacking += wanted.lacking
        report.notes += wanted.notes
        wal_plan = plan_wal(
            self._wal[name],
            wal,
            keeps=wanted.keeps_wal,
            ended=wanted.wal_has_ended,
            segment_bytes=self._segment_bytes(),
        )
        report.lacking += wal_plan.conflicts
        sizes = {label: card.stored_bytes for other in others for label, card in other.cards.items()}
        sources = tuple(other.repository for other in others)
        labels = [*own.cards, *own.unreadable, *wanted.labels]
        holds = missing_holds(labels, sources=sources, destination=own.repository)
        return Work(
            sources=sources,
            labels=wanted.labels,
            stored_bytes=sum(sizes[label] for label in wanted.labels),
            wal=wal_plan,
            holds=tuple(holds),
        )

    def _gone(self, repository: Repository) -> frozenset[BackupLabel]:
        if self.inventory is None:
            return frozenset()
        try:
            return self.inventory.expired(repository)
        except BackstopError as error:
            self.notes.append(
                f"what was expired in {repository.name} is judged by its retention alone: {error.message}"
            )
            return frozenset()

    def _segment_bytes(self) -> dict[str, int]:
        return {
            card.candidate.system_id: card.segment_bytes
            for holdings in self._holdings.values()
            for card in holdings.cards.values()
            if card.segment_bytes is not None
        }
