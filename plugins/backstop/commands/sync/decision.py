"""Decides what one repository should get from the others. Pure: nothing is read or copied here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from backstop.commands.sync.report import Lacking
from backstop.errors import BackstopError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from backstop.commands.sync.holdings import Card, Holdings
    from backstop.commands.sync.settings import SyncSettings
    from backstop.model.backup import BackupLabel
    from backstop.model.retention import RetentionPlan, WalSeen


@dataclass(frozen=True, slots=True)
class Wanted:
    """What should be copied into one repository.

    :param labels: of backups, what others need before them.
    :param unwanted: backups of the others that it would not keep.
    :param retained: says which WAL it keeps; None: all of it.
    :param lacking: what it should have, and will not get.
    :param notes: why more is copied than retention may want.
    """

    labels: tuple[BackupLabel, ...]
    unwanted: int
    retained: RetentionPlan | None
    lacking: tuple[Lacking, ...]
    notes: tuple[str, ...]


def decide(
    destination: Holdings,
    others: Sequence[Holdings],
    *,
    settings: SyncSettings,
    now: datetime,
    held: Mapping[BackupLabel, Sequence[str]],
    seen: Mapping[str, WalSeen],
    gone: frozenset[BackupLabel] = frozenset(),
) -> Wanted:
    """What ``destination`` should have, by the rules of its own retention, and some other repository has.

    :param held: holds in force anywhere, in words, by label.
    :param seen: what names tell of each cluster's WAL.
    :param gone: labels that were expired there on purpose: they come back only for a hold.
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
    keep, plan, notes = _retained(destination.name, cards, settings=settings, now=now, held=held, seen=seen)
    return Wanted(
        labels=_in_order(cards, [label for label in offered if label in keep]),
        unwanted=sum(label not in keep for label in offered),
        # A base backup whose manifest cannot be read may need any of it.
        retained=None if destination.unreadable else plan,
        lacking=tuple(dict.fromkeys(lacking)),
        notes=notes,
    )


def _conflict(ours: Holdings, our: Card, theirs: Holdings, their: Card) -> list[Lacking]:
    if our.attempt == their.attempt:
        return []
    why = (
        f"another backup has this label in {theirs.name} (attempt {their.attempt}; here {our.attempt}): "
        "two writers ran apart, and both backups stay where they are"
    )
    return [Lacking(our.label.text, why)]


def _retained(
    name: str,
    cards: Mapping[BackupLabel, Card],
    *,
    settings: SyncSettings,
    now: datetime,
    held: Mapping[BackupLabel, Sequence[str]],
    seen: Mapping[str, WalSeen],
) -> tuple[frozenset[BackupLabel], RetentionPlan | None, tuple[str, ...]]:
    everything = frozenset(cards)
    if settings.retention is None:
        return everything, None, ()
    candidates = [
        replace(card.candidate, kept_because=(*card.candidate.kept_because, *held.get(label, ())))
        for label, card in cards.items()
    ]
    try:
        plan = settings.retention(name, candidates, now, seen)
    except BackstopError as error:
        # Expiry there is refused for the same reason, so nothing that is copied goes at once.
        return everything, None, (f"everything is copied, because retention does not decide: {error}",)
    return everything - frozenset(plan.expired), plan, ()


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
