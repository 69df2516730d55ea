"""How long a recovery took and what it lost, to scale: one lane a component."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.model.figures import duration_in_words
from backstop.reports.drawing import LANE, LEFT, RIGHT, TOP, Bar, Drawing, Flag, Lane
from backstop.reports.elapsed import ElapsedScale, Tick, scale_of
from backstop.reports.naming import PHASES, component_in_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from backstop.model.measured import ComponentRecovery, Phase


def draw_recovery(
    components: Sequence[ComponentRecovery],
    *,
    began_at: datetime,
    ended_at: datetime,
    signed_off_at: datetime | None = None,
) -> Drawing:
    """Phases of every component against its RTO, since ``began_at``.

    :param signed_off_at: until when somebody was waited for, which is drawn apart.
    """
    ends = [phase.ended_at for one in components for phase in one.phases]
    ends += [began_at + one.downtime for one in components if one.downtime is not None]
    scale = scale_of(
        began_at,
        ends or [ended_at],
        [began_at + one.rto for one in components if one.rto is not None],
        left=LEFT,
        right=RIGHT,
    )
    lanes = tuple(_lane(one, scale, TOP + LANE * number) for number, one in enumerate(components))
    if signed_off_at is not None:
        lanes = (*lanes, _waiting(ended_at, signed_off_at, scale, TOP + LANE * len(lanes)))
    height = TOP + LANE * len(components) + (LANE if signed_off_at else 4)
    return Drawing("How long it took, since the drill began", lanes, scale.ticks(), height)


def _waiting(began_at: datetime, ended_at: datetime, scale: ElapsedScale, top: float) -> Lane:
    long = duration_in_words(ended_at - began_at)
    beyond = "" if scale.holds(ended_at) else ", beyond this drawing →"
    bar = Bar(scale(began_at), scale(ended_at), "wait", f"waiting for sign-off: {long}")
    says = f"waiting for sign-off: {long}, not counted"
    return Lane(
        "waiting for sign-off",
        top,
        says,
        said="" if beyond else long,
        said_at=bar.left + bar.width,
        bars=(bar,),
        flags=(Flag(scale.right, f"{long}, not counted{beyond}", beyond=True),) if beyond else (),
    )


def phase_bars(phases: Sequence[Phase], scale: ElapsedScale) -> tuple[Bar, ...]:
    """One each; a phase without a look of its own is drawn as *other*."""
    return tuple(
        Bar(
            scale(one.began_at),
            scale(one.ended_at),
            one.name if one.name in PHASES else "other",
            f"{PHASES.get(one.name, one.name)}: {duration_in_words(one.ended_at - one.began_at)}",
            one.name[:1].upper(),
        )
        for one in phases
    )


def flag_of(name: str, objective: timedelta, moment: datetime, scale: ElapsedScale) -> Flag:
    """Where an objective ends, or at the edge that it lies behind it."""
    label = f"{name} {duration_in_words(objective)}"
    if scale.holds(moment):
        return Flag(scale(moment), label)
    return Flag(scale.right, f"{label}, beyond this drawing →", beyond=True)


def _lane(one: ComponentRecovery, scale: ElapsedScale, top: float) -> Lane:
    bars = phase_bars(one.phases, scale)
    name = component_in_words(one.component)
    if one.downtime is None:
        said, end = "not back", max((bar.right for bar in bars), default=scale.left)
    else:
        said, end = duration_in_words(one.downtime), scale(scale.origin + one.downtime)
    flags = (flag_of("RTO", one.rto, scale.origin + one.rto, scale),) if one.rto is not None else ()
    missed = one.rto_met is False
    objective = f", RTO {duration_in_words(one.rto)} {'missed' if missed else 'met'}" if one.rto else ""
    return Lane(
        name,
        top,
        f"{name}: {said}{objective}; " + ", ".join(bar.title for bar in bars),
        said=f"{said}, over" if missed and one.downtime is not None else said,
        said_at=max([end, *(bar.left + bar.width for bar in bars)]),
        tone="critical" if missed or one.downtime is None else "",
        bars=bars,
        flags=flags,
        rail=(scale.left, end),
    )


def draw_loss(components: Sequence[ComponentRecovery], *, title: str) -> Drawing:
    """Of what each objective allows, how much was lost: every lane has the scale of its own RPO."""
    lanes = tuple(_loss(one, TOP + LANE * number) for number, one in enumerate(components))
    width = RIGHT - LEFT
    shares = tuple(
        Tick(round(LEFT + share * width, 2), label)
        for share, label in (
            (0, "nothing"),
            (0.25, ""),
            (0.5, "half of what is allowed"),
            (0.75, ""),
            (1, "the RPO"),
        )
    )
    return Drawing(title, lanes, shares, TOP + LANE * len(lanes) + 4)


def _loss(one: ComponentRecovery, top: float) -> Lane:
    name = component_in_words(one.component)
    if one.loss is None:
        said = "nothing is back" if one.failure else "not known"
        return Lane(
            name,
            top,
            f"{name}: loss {said}",
            said=said,
            said_at=LEFT,
            tone="critical" if one.failure else "",
            flags=_allowed(one),
        )
    words = duration_in_words(one.loss)
    if not one.rpo:
        return Lane(
            name, top, f"{name}: {words} lost, no RPO is set", said=f"{words}, no RPO is set", said_at=LEFT
        )
    share = one.loss / one.rpo
    over = one.loss > one.rpo
    # What is over ends behind the line of the objective, broken: beyond that it is not to scale, and says so.
    right = RIGHT + 14 if over else LEFT + share * (RIGHT - LEFT)
    times = f", {share:.1f} times" if over else ""
    return Lane(
        name,
        top,
        f"{name}: {words} lost of {duration_in_words(one.rpo)} allowed{', too much' if over else ''}",
        said=f"{words}{times}",
        said_at=right,
        tone="critical" if over else "",
        bars=(Bar(LEFT, round(right, 2), "over" if over else "lost", f"{words} lost", ""),),
        flags=_allowed(one),
    )


def _allowed(one: ComponentRecovery) -> tuple[Flag, ...]:
    return (Flag(RIGHT, f"RPO {duration_in_words(one.rpo)}"),) if one.rpo else ()
