"""What one repository has and another one, by its own retention, should have too."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from backstop.commands.sync.decision import decide
from backstop.commands.sync.holdings import Card, Holdings, card_of
from backstop.commands.sync.holds import held_anywhere
from backstop.commands.watch.part import Part
from backstop.commands.watch.wording import named
from backstop.errors import BackstopError
from backstop.model.finding import Finding, Level

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backstop.commands.sync.decision import Wanted
    from backstop.commands.watch.shelf import Shelf
    from backstop.commands.watch.sight import Sight
    from backstop.model.backup import BackupLabel, Manifest
    from backstop.model.lsn import WalSegment
    from backstop.model.retention import Candidate


def judge_steps(sight: Sight) -> Part:
    """By the rules of a sync (commands/sync/decision.py): what is found missing here, it brings."""
    findings: list[Finding] = []
    unjudged = {("sync", f"backups in {name}") for name in sight.down}
    unseen: list[str] = []
    holdings = {name: _holdings(shelf) for name, shelf in sight.shelves.items()}
    for name, shelf in sight.shelves.items():
        others = {other: holdings[other] for other in holdings if other != name}
        try:
            found = _lacking(sight, shelf, holdings[name], others)
        except BackstopError as error:
            unseen.append(f"what {name} should have of the other repositories: {error.message}")
            unjudged.add(("sync", f"backups in {name}"))
            continue
        if found is not None:
            findings.append(found)
        elif sight.down:
            # What only a repository has that does not answer, may be lacking here.
            unjudged.add(("sync", f"backups in {name}"))
    return Part(findings=tuple(findings), unseen=tuple(unseen), unjudged=frozenset(unjudged))


def _lacking(sight: Sight, shelf: Shelf, own: Holdings, others: Mapping[str, Holdings]) -> Finding | None:
    settings = sight.target.settings
    late = {
        label: name
        for name, theirs in others.items()
        for label in theirs.cards
        if label not in own.cards
        and label not in own.expiring
        and label not in shelf.missing  # which is a finding of its own
        and shelf.name in settings.sync.places(label)
        and sight.now - sight.shelves[name].stored_at[label] > settings.sync_grace
    }
    apart = [
        label
        for theirs in others.values()
        for label, card in theirs.cards.items()
        if label in own.cards and own.cards[label].attempt != card.attempt
    ]
    if not late and not apart:
        return None
    wanted = _decide(sight, shelf, own, others)
    lacking = [label for label in wanted.labels if label in late]
    if not lacking and not apart:
        return None
    if not lacking:
        sentence = f"{named(apart)} in {shelf.name} is another backup than in the other repositories"
        next_step = "two writers ran apart: find out which is the real one, and take a new base backup of it"
    else:
        sources = sorted({late[label] for label in lacking})
        sentence = f"{shelf.name} lacks {named(lacking)}, which {' and '.join(sources)} has"
        next_step = (
            f"look at the newest run of sync_repositories__{sight.target.name}, or run `python -m backstop "
            f"sync-repositories --target {sight.target.name}`"
        )
    return Finding(sight.target.name, "sync", f"backups in {shelf.name}", Level.WARNING, sentence, next_step)


def _decide(sight: Sight, shelf: Shelf, own: Holdings, others: Mapping[str, Holdings]) -> Wanted:
    held = held_anywhere([one.repository for one in sight.shelves.values()], now=sight.now)

    def as_it_is() -> Mapping[BackupLabel, Candidate]:
        return {
            label: replace(
                card.candidate,
                proven=shelf.backups[label].proven,
                kept_because=(*card.candidate.kept_because, *held.get(label, ())),
            )
            for label, card in own.cards.items()
        }

    return decide(
        own,
        list(others.values()),
        settings=sight.target.settings.sync,
        now=sight.now,
        held=held,
        seen={},
        as_it_is=as_it_is,
        gone=shelf.expired,
    )


def still_wanted(sight: Sight, shelf: Shelf) -> list[BackupLabel]:
    """Of what has vanished: what retention would still keep. The rest need not be mourned any more."""
    retention = sight.target.settings.sync.retention
    known = {label: one for label, one in shelf.missing.items() if one is not None}
    if retention is None or not known:
        return list(shelf.missing)
    lost = [_card(one.manifest, one.stored_bytes).candidate for one in known.values()]
    there = [card.candidate for card in _holdings(shelf).cards.values()]
    try:
        expired = set(retention(shelf.name, [*there, *lost], sight.now, {}).expired)
    except BackstopError:
        return list(shelf.missing)
    return [label for label in shelf.missing if label not in expired]


def _holdings(shelf: Shelf) -> Holdings:
    return Holdings(
        shelf.repository,
        {label: _card(known.manifest, known.stored_bytes) for label, known in shelf.backups.items()},
        shelf.unreadable_labels,
        shelf.expiring,
    )


def _card(manifest: Manifest, stored_bytes: int) -> Card:
    """As of a manifest with its objects."""
    card = card_of(manifest)
    return replace(
        card, candidate=replace(card.candidate, stored_bytes=stored_bytes), stored_bytes=stored_bytes
    )


def keeps_wal(sight: Sight, shelf: Shelf, segment: WalSegment, *, system_id: str) -> bool:
    """Whether the repository's retention keeps a segment; True also when it cannot be asked."""
    retention = sight.target.settings.sync.retention
    if retention is None:
        return True
    candidates = [card.candidate for card in _holdings(shelf).cards.values()]
    try:
        plan = retention(shelf.name, candidates, sight.now, {})
    except BackstopError:
        return True
    return plan.keeps_wal(system_id, timeline=segment.timeline, begin=segment.start, end=segment.end)
