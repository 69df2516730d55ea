"""Which ways back there are after a disaster, and which one to take. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.model.figures import duration_in_words, exact_time
from backstop.model.incident_option import Option, Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from backstop.model.incident_option import Reach, Wanted

NEWEST, LAST_PROVEN, BEFORE, DUMP, REPOSITORY = "newest", "last-proven", "before", "dump", "repository"


def options_for(
    wanted: Sequence[Wanted],
    reaches: Sequence[Reach],
    *,
    lost_at: datetime,
    before: datetime | None = None,
    alternatives: Mapping[str, str] | None = None,
) -> tuple[Option, ...]:
    """Every option that differs from the others, the recommended one first.

    :param wanted: what is to come back, in order.
    :param lost_at: what was written later was never at risk.
    :param before: just before a mistake or an attack: what was stored later is trusted by no option but
        ``newest`` and those that say so.
    :param alternatives: other kinds that bring the same back: ``{"base": "dump"}``.
    """
    usable = [one for one in reaches if not one.doubt]
    found: list[Option] = []
    if before is not None:
        title = f"the state just before {exact_time(before)}"
        found.append(_option(BEFORE, title, wanted, usable, lost_at=lost_at, moment=before))
        safe = [one for one in usable if one.proven and one.stored_at <= before]
        title = f"what was proven and stored before {exact_time(before)}"
        found.append(_option(LAST_PROVEN, title, wanted, safe, lost_at=lost_at, moment=before))
    else:
        proven = [one for one in usable if one.proven]
        title = "what a restore has proven last"
        found.append(_option(LAST_PROVEN, title, wanted, proven, lost_at=lost_at))
    found.insert(
        0 if before is None else 2, _option(NEWEST, "the newest there is", wanted, usable, lost_at=lost_at)
    )
    found += _by_dump(wanted, usable, alternatives or {}, lost_at=lost_at, moment=before)
    names = {one.repository: one.rank for one in reaches}
    for name in sorted(names, key=lambda name: names[name]) if len(names) > 1 else ():
        there = [one for one in usable if one.repository == name]
        option_id, title = f"{REPOSITORY}:{name}", f"everything from {name} alone"
        found.append(_option(option_id, title, wanted, there, lost_at=lost_at, moment=before))
    return _recommended([_with_risk(one, before) for one in _distinct(found)], before=before)


def _by_dump(
    wanted: Sequence[Wanted],
    usable: Sequence[Reach],
    alternatives: Mapping[str, str],
    *,
    lost_at: datetime,
    moment: datetime | None,
) -> list[Option]:
    others = [replace(one, component=alternatives.get(one.component, one.component)) for one in wanted]
    if others == list(wanted):
        return []
    title = "the database from its dump instead of the whole server"
    return [_option(DUMP, title, others, usable, lost_at=lost_at, moment=moment)]


def _option(
    option_id: str,
    title: str,
    wanted: Iterable[Wanted],
    reaches: Sequence[Reach],
    *,
    lost_at: datetime,
    moment: datetime | None = None,
) -> Option:
    parts: list[Part] = []
    impossible: list[str] = []
    for one in wanted:
        there = [
            reach
            for reach in reaches
            if reach.component == one.component and (moment is None or reach.begins_at <= moment)
        ]
        if not there:
            impossible.append(f"{one.component}: nothing of it leads there")
            continue
        best = max(there, key=lambda reach: (reach.at(moment), reach.proven, -reach.rank, reach.begins_at))
        to = best.at(moment)
        parts.append(Part(best, to, _point(best, moment), _loss(best, to, lost_at), one.rto, one.rpo))
    return Option(option_id, title, tuple(parts), tuple(impossible))


def _loss(reach: Reach, to: datetime, lost_at: datetime) -> timedelta:
    """By the time of what is stored; a server that had nothing to write looks as if it had lost hours, and
    whoever watched it knows better."""
    bound = max(lost_at - to, timedelta(0))
    return min(bound, reach.behind) if reach.behind is not None and to == reach.ends_at else bound


def _point(reach: Reach, moment: datetime | None) -> str:
    """As :meth:`~backstop.model.recovery_target.RecoveryTarget.parse` reads it; empty for a fixed backup."""
    if reach.timeline is None:
        return ""
    if moment is None or reach.ends_at <= moment:
        return "latest"
    return f"time:{moment.strftime('%Y-%m-%dT%H:%M:%S.%fZ')}"


def _distinct(options: Sequence[Option]) -> list[Option]:
    """One option a set of parts; of several the first. What brings nothing back is none."""
    seen: set[tuple[object, ...]] = set()
    found = []
    for one in options:
        key = tuple((part.reach.repository, part.reach.label, part.component, part.to) for part in one.parts)
        if one.parts and key not in seen:
            seen.add(key)
            found.append(one)
    return found


def _with_risk(option: Option, before: datetime | None) -> Option:
    risk = list(option.impossible)
    for part in option.parts:
        name = part.component
        if not part.reach.proven:
            risk.append(
                f"{name}: {part.reach.label} in {part.reach.repository} was never proven by a restore; it is "
                "compared before it replaces anything"
            )
        if part.rpo is not None and part.loss > part.rpo:
            risk.append(
                f"{name}: up to {duration_in_words(part.loss)} of work are lost, and "
                f"{duration_in_words(part.rpo)} are allowed"
            )
        forecast = part.reach.forecast
        if forecast is None:
            risk.append(f"{name}: nobody knows how long it takes; too few restores have been measured")
        elif part.rto is not None and forecast.high_seconds > part.rto.total_seconds():
            high = duration_in_words(timedelta(seconds=forecast.high_seconds))
            risk.append(f"{name}: may take {high}, and {duration_in_words(part.rto)} are allowed")
        if part.to > (before or part.to):
            risk.append(f"{name}: contains what was written after {exact_time(before or part.to)}")
        if name == "base":
            risk.append("base: every database of that server goes back, not just the one that is damaged")
    return replace(option, risk=tuple(risk))


def _recommended(options: Sequence[Option], *, before: datetime | None) -> tuple[Option, ...]:
    """The recommended one first, marked, with the reason."""
    if not options:
        return ()
    complete = [one for one in options if one.complete] or list(options)
    safe = [one for one in complete if before is None or all(part.to <= before for part in one.parts)]
    pool = safe or complete
    best = min(pool, key=_order)
    in_time = [one for one in pool if not one.over_rto and not one.over_rpo]
    because = _reason(best, pool, before)
    if best.over_rto and in_time:
        best = min(in_time, key=_order)
        because = "it is the one that keeps both objectives, by the forecast"
    if not best.complete:
        because = "it brings back the most; nothing brings everything back"
    marked = replace(best, recommended=True, because=because)
    return (marked, *(one for one in options if one.id != best.id))


def _order(option: Option) -> tuple[float, ...]:
    """The less is lost the better, to the second; then what is proven; then what is quick."""
    forecast = option.forecast
    return (
        -len(option.parts),
        round(sum(part.loss.total_seconds() for part in option.parts)),
        not option.proven,
        forecast.median_seconds if forecast else float("inf"),
    )


def _reason(best: Option, pool: Sequence[Option], before: datetime | None) -> str:
    loses = f"it loses the least, {duration_in_words(best.loss)}" if best.loss else "it loses nothing"
    if before is not None and all(part.to <= before for part in best.parts):
        loses += f", of what leads back to before {exact_time(before)}"
    if best.proven:
        return f"{loses}, and a restore has proven it"
    if any(one.proven for one in pool):
        return (
            f"{loses}; it is compared before it replaces anything, and what is proven remains should it fail"
        )
    return f"{loses}; nothing that is proven brings everything back"
