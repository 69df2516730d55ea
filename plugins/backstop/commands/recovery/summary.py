"""A planned recovery as a small document: what people approve, and what a later step must find unchanged."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from backstop.commands.recovery.result import RecoveryResult
from backstop.errors import RestoreError
from backstop.model.canonical import format_time, parse_time
from backstop.model.recovery import RecoveryTarget

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from backstop.model.recovery import RecoveryPlan


def summary(plan: RecoveryPlan, *, target: str, repository: str, destination: Path) -> dict[str, Any]:
    """Of JSON's types alone."""
    return {
        "target": target,
        "repository": repository,
        "destination": str(destination),
        "point": str(plan.target),
        "inclusive": plan.target.inclusive,
        "timeline": plan.timeline,
        "base": plan.chain[-1],
        "chain": list(plan.chain),
        "system_id": plan.system_id,
        "server_major": plan.server_major,
        "segments": plan.segment_count,
        "end_lsn": str(plan.end_lsn),
        "why": list(plan.why),
        "warnings": list(plan.warnings),
    }


def point_of(planned: Mapping[str, Any]) -> RecoveryTarget:
    """The same point again, with what the plan has settled: base backup and timeline."""
    return RecoveryTarget.parse(
        planned["point"],
        timeline=planned["timeline"],
        inclusive=planned["inclusive"],
        base=planned["base"],
    )


def require_same(plan: RecoveryPlan, planned: Mapping[str, Any]) -> None:
    """:raises RestoreError: planned anew, it is another recovery than the one that was shown."""
    if list(plan.chain) != planned["chain"] or plan.timeline != planned["timeline"]:
        raise RestoreError(
            f"the recovery that was planned, from {planned['base']} on timeline {planned['timeline']}, would "
            f"now be from {plan.chain[-1]} on timeline {plan.timeline}",
            hint="plan it anew",
        )


def result_document(result: RecoveryResult) -> dict[str, Any]:
    """Of JSON's types alone; :func:`result_from` reads it back."""
    document = result.to_dict()
    for name, value in document.items():
        if isinstance(value, datetime):
            document[name] = format_time(value)
        elif isinstance(value, tuple):
            document[name] = list(value)
    document["tablespaces"] = {str(oid): path for oid, path in result.tablespaces.items()}
    return document


def result_from(document: Mapping[str, Any]) -> RecoveryResult:
    """The inverse of :func:`result_document`."""
    values = dict(document)
    if values["last_commit_at"] is not None:
        values["last_commit_at"] = parse_time(values["last_commit_at"])
    for name in ("chain", "healed", "warnings"):
        values[name] = tuple(values[name])
    values["tablespaces"] = {int(oid): path for oid, path in values["tablespaces"].items()}
    return RecoveryResult(**values)
