"""How long restores took, and whether the next one would take longer than was agreed."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.commands.watch.wording import in_words
from backstop.model.figures import duration_in_words
from backstop.model.finding import Finding, Level
from backstop.model.forecast import Restore

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from backstop.commands.watch.settings import WatchedKind
    from backstop.commands.watch.sight import Sight
    from backstop.model.observation import ForecastSeen
    from backstop.repository.recollection import Recollection


def past_restores(sight: Sight, recollection: Recollection) -> Mapping[str, list[Restore]]:
    """How long the verifications that matched took, by kind, oldest first."""
    every = {(name, one.label): one for name, known in recollection.backups.items() for one in known.values()}
    every |= {
        (name, one.label): one for name, shelf in sight.shelves.items() for one in shelf.backups.values()
    }
    found: dict[str, list[tuple[datetime, Restore]]] = defaultdict(list)
    for known in every.values():
        for proof in known.proofs:
            seconds = proof.seconds.get("total")
            if proof.matched and seconds:
                restore = Restore(known.plain_bytes, float(seconds))
                found[known.label.component].append((proof.finished_at, restore))
    return {
        kind: [restore for _, restore in sorted(restores, key=lambda one: one[0])]
        for kind, restores in found.items()
    }


def judge_duration(sight: Sight, kind: WatchedKind, foreseen: ForecastSeen | None) -> Finding | None:
    if kind.rto is None or foreseen is None or foreseen.high_seconds <= kind.rto.total_seconds():
        return None
    median, high = (
        duration_in_words(timedelta(seconds=seconds))
        for seconds in (foreseen.median_seconds, foreseen.high_seconds)
    )
    return Finding(
        sight.target.name,
        "forecast",
        kind.kind,
        Level.CRITICAL if foreseen.median_seconds > kind.rto.total_seconds() else Level.WARNING,
        f"{in_words(kind.kind)}: a restore would take about {median}, up to {high} by the last "
        f"{foreseen.samples} proofs; {duration_in_words(kind.rto)} are allowed",
        "give the restore more jobs or a faster disk, or agree on a longer objective",
    )
