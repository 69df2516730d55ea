"""Proofs and drills as measured restores: what forecasts learn from. Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from backstop.model.restore_rates import SEGMENT_BYTES, Restore

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from backstop.model.drill import DrillRecord
    from backstop.model.measured import ComponentRecovery
    from backstop.model.proof import Proof

    Sample = tuple[datetime, Restore]

_NO_WORK = ("detect",)


def proven_restores(proofs: Iterable[Proof], *, plain_bytes: int) -> list[Sample]:
    """When each verification that matched ended, and what its restore took.

    :param plain_bytes: of the backup, before it was compressed.
    """
    return [
        (proof.finished_at, Restore(plain_bytes, float(proof.durations["total"]), _segments(proof)))
        for proof in proofs
        if proof.matched and proof.durations.get("total")
    ]


def oldest_first(samples: Iterable[Sample]) -> list[Restore]:
    """Proofs and drills together: forecasts look at the newest."""
    return [restore for _, restore in sorted(samples, key=lambda one: one[0])]


def drilled_restores(drills: Iterable[DrillRecord]) -> Mapping[str, list[Sample]]:
    """By component, oldest first: when each restore ended, and what it took.

    Only what came back tells how long a restore takes. A component waits for those before it, so its own
    phases count, not its downtime.
    """
    found: dict[str, list[Sample]] = defaultdict(list)
    for drill in drills:
        for one in drill.components:
            seconds = restore_seconds(one)
            if not one.failure and one.bytes is not None and seconds > 0:
                restore = Restore(one.bytes, seconds, one.segments or 0)
                found[one.component].append((one.phases[-1].ended_at, restore))
    return {component: sorted(restores, key=lambda one: one[0]) for component, restores in found.items()}


def restore_seconds(recovery: ComponentRecovery) -> float:
    """How long it took to bring this one component back, its validation included."""
    return sum(phase.seconds for phase in recovery.phases if phase.name not in _NO_WORK)


def _segments(proof: Proof) -> int:
    return int(proof.checks.get("replayed_bytes", 0)) // SEGMENT_BYTES
