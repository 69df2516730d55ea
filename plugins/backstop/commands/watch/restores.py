"""How long restores took, and whether the next one would take longer than was agreed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.commands.watch.wording import in_words
from backstop.model.drill_samples import drilled_restores
from backstop.model.figures import duration_in_words
from backstop.model.finding import Finding, Level
from backstop.model.forecast import Restore
from backstop.model.forecast_accuracy import forecast_accuracy
from backstop.model.observation import AccuracySeen
from backstop.model.restore_rates import SEGMENT_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from backstop.commands.watch.settings import WatchedKind
    from backstop.commands.watch.sight import Sight
    from backstop.model.observation import ForecastSeen
    from backstop.repository.recollection import Recollection


@dataclass(frozen=True, slots=True)
class Past:
    """A restore, and when it ended."""

    at: datetime
    restore: Restore


def past_restores(sight: Sight, recollection: Recollection) -> Mapping[str, list[Past]]:
    """How long verifications that matched took, and restores of drills, by kind, oldest first."""
    every = {(name, one.label): one for name, known in recollection.backups.items() for one in known.values()}
    every |= {
        (name, one.label): one for name, shelf in sight.shelves.items() for one in shelf.backups.values()
    }
    found: dict[str, list[tuple[datetime, Restore]]] = defaultdict(list)
    for known in every.values():
        for proof in known.proofs:
            seconds = proof.seconds.get("total")
            if proof.matched and seconds:
                segments = proof.replayed_bytes // SEGMENT_BYTES
                restore = Restore(known.plain_bytes, float(seconds), segments)
                found[known.label.component].append((proof.finished_at, restore))
    for kind, drilled in drilled_restores(recollection.drills or ()).items():
        found[kind] += drilled
    return {
        kind: [Past(at, restore) for at, restore in sorted(restores, key=lambda one: one[0])]
        for kind, restores in found.items()
    }


def accuracy_of(past: Sequence[Past], before: AccuracySeen | None) -> AccuracySeen | None:
    """How well forecasts of these have hit. :param before: as the watch before saw it."""
    if not past:
        return None
    newest_at = past[-1].at
    if before is not None and before.newest_at == newest_at:
        return before  # forecasting dozens of restores again takes a while, and says the same
    found = forecast_accuracy([one.restore for one in past])
    if found is None:
        return None
    return AccuracySeen(found.judged, found.within, found.median_error, found.median_error_seconds, newest_at)


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
        f"{foreseen.samples} proofs and drills; {duration_in_words(kind.rto)} are allowed",
        "give the restore more jobs or a faster disk, or agree on a longer objective",
    )
