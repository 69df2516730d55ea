"""Decides what one repository should get from the others. Nothing is copied here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from backstop.commands.sync.report import Lacking
from backstop.errors import BackstopError
from backstop.model.retention_groups import STANDSTILL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from backstop.commands.sync.holdings import Card, Holdings
    from backstop.commands.sync.settings import Retention, SyncSettings
    from backstop.model.backup import BackupLabel
    from backstop.model.lsn import WalSegment
    from backstop.model.retention import Candidate, RetentionPlan, WalSeen


@dataclass(frozen=True, slots=True)
class Wanted:
    """What should be copied into one repository.

    :param labels: of backups, what others need before them.
    :param unwanted: backups of the others that it would not keep.
    :param keeps_wal: whether it keeps a segment of a cluster's WAL.
    :param wal_has_ended: whether it keeps nothing of a cluster's WAL, histories included.
    :param lacking: what it should have, and will not get.
    :param notes: how retention was asked, where that was not as always.
    """

    labels: tuple[BackupLabel, ...]
    unwanted: int
    keeps_wal: Callable[[str, WalSegment], bool]
    wal_has_ended: Callable[[str], bool]
    lacking: tuple[Lacking, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Judgement:
    """What the repository would keep: by its rules, and as things are there.

    By its rules alone, because a repository in which nothing is proven yet lets nothing go, and a new one
    would get the history of years. As things are, because expiry prefers proven copies, and what it would
    remove tonight must not come back every night. What is copied is wanted by both.

    :param rules: all backups, those that are offered too, as if every one were proven.
    :param as_it_is: asked only when the rules want something: the backups there as expiry sees them.
    """

    name: str
    retention: Retention
    rules: Mapping[BackupLabel, Candidate]
    offered: frozenset[BackupLabel]
    as_it_is: Callable[[], Mapping[BackupLabel, Candidate]]
    seen: Mapping[str, WalSeen]
    moment: datetime

    def ask(self) -> None:
        """:raises BackstopError: retention does not decide at this moment."""
        self._by_rules  # noqa: B018 - asked for its error

    def keeps(self, label: BackupLabel) -> bool:
        return label not in self._expired and label not in self._as_it_is.expired

    @cached_property
    def _expired(self) -> frozenset[BackupLabel]:
        return frozenset(self._by_rules.expired)

    def keeps_wal(self, system_id: str, segment: WalSegment) -> bool:
        return all(
            plan.keeps_wal(system_id, timeline=segment.timeline, begin=segment.start, end=segment.end)
            for plan in self._plans()
        )

    def wal_has_ended(self, system_id: str) -> bool:
        return any(plan.wal_has_ended(system_id) for plan in self._plans())

    def _plans(self) -> Iterable[RetentionPlan]:
        yield self._by_rules
        yield self._as_it_is

    @cached_property
    def _by_rules(self) -> RetentionPlan:
        return self.retention(self.name, list(self.rules.values()), self.moment, self.seen)

    @cached_property
    def _as_it_is(self) -> RetentionPlan:
        coming = {label: replace(self.rules[label], proven=False) for label in self.offered - self._expired}
        candidates = {**coming, **self.as_it_is()}
        return self.retention(self.name, list(candidates.values()), self.moment, self.seen)


def decide(
    destination: Holdings,
    others: Sequence[Holdings],
    *,
    settings: SyncSettings,
    now: datetime,
    held: Mapping[BackupLabel, Sequence[str]],
    seen: Mapping[str, WalSeen],
    as_it_is: Callable[[], Mapping[BackupLabel, Candidate]],
    gone: frozenset[BackupLabel] = frozenset(),
) -> Wanted:
    """What ``destination`` should have, by the rules of its own retention, and some other repository has.

    :param held: holds in force anywhere, in words, by label.
    :param seen: what names tell of each cluster's WAL.
    :param as_it_is: reads what expiry would know of the backups there; asked when it matters.
    :param gone: labels that were expired there on purpose: they come back only for a hold.
    :raises BackstopError: retention cannot be asked.
    """
    offered: dict[BackupLabel, Card] = {}
    lacking: list[Lacking] = []
    for holdings in others:
        for label, card in holdings.cards.items():
            if destination.name not in settings.places(label) or label in holdings.expiring:
                continue
            if label in destination.cards:
                lacking += _conflict(destination, destination.cards[label], holdings, card)
            elif label in destination.unreadable:
                lacking.append(Lacking(label.text, str(destination.unreadable[label])))
            elif label not in destination.expiring and (label not in gone or label in held):
                offered.setdefault(label, card)
    cards = {**destination.cards, **offered}
    judgement, notes = _judgement(
        destination.name, cards, frozenset(offered), settings.retention, now, held, seen, as_it_is
    )
    wanted = [label for label in offered if judgement is None or judgement.keeps(label)]
    # A base backup whose manifest cannot be read may need any of it.
    all_wal = judgement is None or destination.unreadable
    return Wanted(
        labels=_in_order(cards, wanted),
        unwanted=len(offered) - len(wanted),
        keeps_wal=_everything if judgement is None or all_wal else judgement.keeps_wal,
        wal_has_ended=_nothing if judgement is None or all_wal else judgement.wal_has_ended,
        lacking=tuple(dict.fromkeys(lacking)),
        notes=notes,
    )


def _everything(system_id: str, segment: WalSegment) -> bool:
    return True


def _nothing(system_id: str) -> bool:
    return False


def _conflict(ours: Holdings, our: Card, theirs: Holdings, their: Card) -> list[Lacking]:
    if our.attempt == their.attempt:
        return []
    why = (
        f"another backup has this label in {theirs.name} (attempt {their.attempt}; here {our.attempt}): "
        "two writers ran apart, and both backups stay where they are"
    )
    return [Lacking(our.label.text, why)]


def _judgement(
    name: str,
    cards: Mapping[BackupLabel, Card],
    offered: frozenset[BackupLabel],
    retention: Retention | None,
    now: datetime,
    held: Mapping[BackupLabel, Sequence[str]],
    seen: Mapping[str, WalSeen],
    as_it_is: Callable[[], Mapping[BackupLabel, Candidate]],
) -> tuple[_Judgement | None, tuple[str, ...]]:
    if retention is None or not cards:
        return None, ()
    rules = {
        label: replace(card.candidate, kept_because=(*card.candidate.kept_because, *held.get(label, ())))
        for label, card in cards.items()
    }
    judgement = _Judgement(name, retention, rules, offered, as_it_is, seen, now)
    try:
        judgement.ask()
    except BackstopError as error:
        # A wrong clock, or a target that was retired: nothing expires there any more, and nothing that has
        # expired may come back for that. What its rules kept when the newest backup came is still right.
        newest = max(card.candidate.finished_at for card in cards.values())
        moment = max(newest, min(now, newest + STANDSTILL))
        note = f"retention was asked as of {moment:%Y-%m-%d %H:%MZ}: {error.message}"
        return replace(judgement, moment=moment), (note,)
    return judgement, ()


def _in_order(cards: Mapping[BackupLabel, Card], wanted: Iterable[BackupLabel]) -> tuple[BackupLabel, ...]:
    """Oldest first, but whatever a backup needs comes before it, wrong clocks or not."""
    asked = set(wanted)
    ordered: dict[BackupLabel, None] = {}

    def add(label: BackupLabel, above: frozenset[BackupLabel]) -> None:
        if label in ordered or label not in asked or label in above:
            return
        for needed in cards[label].candidate.needs:
            add(needed, above | {label})
        ordered[label] = None

    for label in sorted(asked, key=lambda label: (cards[label].candidate.finished_at, label)):
        add(label, frozenset())
    return tuple(ordered)
