"""A situation as plain values for templates: once for those inside, once for everybody."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from backstop.model.figures import duration_in_words, moment_in_words

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from backstop.model.situation import Estimate, Part, Situation

NOT_KNOWN = "not known: there have been too few restores of this kind"
CHECKED = "what was lost is back, and is being checked"
LONGER = "it takes longer than forecast, and nobody knows how much longer"


def inside(situation: Situation) -> dict[str, Any]:
    """``incident``, ``estimate``, ``component``, ``option``: everything, with names and paths."""
    under_way = next((part for part in situation.parts if part.state == "under way"), None)
    return {
        "incident": {
            "id": situation.incident_id,
            "target": situation.target,
            "what": situation.what,
            "declared_at": moment_in_words(situation.declared_at),
            "elapsed": duration_in_words(situation.elapsed),
            "waited": duration_in_words(situation.waited) if situation.waited else "",
            "lost": [{"component": named(one.component), "sentence": one.sentence} for one in situation.lost],
            "components": [named(one) for one in situation.components],
            "parts": [_part(part, named(part.component)) for part in situation.parts],
            "step": situation.step,
            "complete": situation.complete,
            "asked": situation.asked,
            "failures": list(situation.failures),
        },
        "estimate": estimate_words(situation),
        "component": None if under_way is None else _part(under_way, named(under_way.component)),
        "option": {"title": situation.option},
    }


def outside(situation: Situation) -> dict[str, Any]:
    """The same without what only those inside should read: no names of systems, folders, backups, people."""
    kinds = _kinds(situation.components)
    parts = [_worst(kind, situation.parts) for kind in _kinds(part.component for part in situation.parts)]
    return {
        "incident": {
            "declared_at": moment_in_words(situation.declared_at),
            "elapsed": duration_in_words(situation.elapsed),
            "components": kinds,
            "parts": parts,
            "complete": situation.complete,
        },
        "estimate": estimate_words(situation),
        "component": next((part for part in parts if part["state"] == "under way"), None),
        "option": {"title": "from a backup"},
    }


def named(component: str) -> str:
    """``tree:media`` as people call it."""
    if component.startswith("tree:"):
        return f"files ({component.removeprefix('tree:')})"
    return {"base": "database server", "dump": "database"}.get(component, component)


def estimate_words(situation: Situation) -> dict[str, str]:
    """``text`` always; the rest is empty where nobody knows."""
    estimate = situation.estimate
    if estimate is None:
        text = LONGER if situation.overdue else CHECKED if situation.all_back else NOT_KNOWN
        return {"text": text, "low": "", "median": "", "high": "", "until": "", "at_latest": ""}
    return {"text": _sentence(estimate, situation), **_figures(estimate, situation)}


def _sentence(estimate: Estimate, situation: Situation) -> str:
    figures = _figures(estimate, situation)
    return (
        f"about {figures['median']} more, so at about {figures['until']}; in nine of ten cases by "
        f"{figures['at_latest']}"
    )


def _figures(estimate: Estimate, situation: Situation) -> dict[str, str]:
    return {
        "low": duration_in_words(estimate.low),
        "median": duration_in_words(estimate.median),
        "high": duration_in_words(estimate.high),
        "until": moment_in_words(_whole_minute(situation, estimate.median)),
        "at_latest": moment_in_words(_whole_minute(situation, estimate.high)),
    }


def _whole_minute(situation: Situation, after: timedelta) -> datetime:
    """Never earlier than it is."""
    return situation.now + after + timedelta(seconds=59)


def _part(part: Part, name: str) -> dict[str, str]:
    return {
        "component": name,
        "state": part.state,
        "backup": part.label,
        "repository": part.repository,
        "back_to": moment_in_words(part.point) if part.point else "",
        "loss": loss_words(part.point, part.loss, part.loss_says),
    }


def loss_words(point: datetime | None, loss: timedelta | None, says: str = "") -> str:
    """What is missing afterwards, as a clause. :param says: how far it is known, where no figure says it."""
    if loss is not None and loss <= timedelta(0):
        return "nothing is lost"
    after = f"what was changed after {moment_in_words(point)}" if point else "the newest changes"
    if loss is None:
        return f"{after}; {says or 'how much that is, is not known'}"
    return f"{after}, {duration_in_words(loss)} of work"


def _kinds(components: Iterable[str]) -> list[str]:
    return list(dict.fromkeys("files" if one.startswith("tree:") else "database" for one in components))


_WORST_FIRST = ("failed", "interrupted", "under way", "waiting", "left out", "back")


def _worst(kind: str, parts: Iterable[Part]) -> dict[str, str]:
    """All trees are one to the outside: the state of the worst, the point of the oldest."""
    those = [part for part in parts if _kinds([part.component]) == [kind]]
    state = min((part.state for part in those), key=_WORST_FIRST.index)
    losses = [part.loss for part in those]
    points = [part.point for part in those if part.point]
    known = [one for one in losses if one is not None]
    point = min(points, default=None)
    loss = max(known) if known and len(known) == len(losses) else None
    return {
        "component": kind,
        "state": "not back yet" if state in ("failed", "interrupted") else state,
        "back_to": moment_in_words(point) if point else "",
        "loss": loss_words(point, loss),
    }
