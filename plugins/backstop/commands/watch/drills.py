"""Whether disasters are rehearsed, and what the last rehearsal has shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.commands.watch.part import Part
from backstop.model.figures import duration_in_words
from backstop.model.finding import Finding, Level
from backstop.model.measured import Outcome, the_component
from backstop.model.observation import DrilledSeen, DrillSeen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backstop.commands.watch.sight import Sight
    from backstop.model.drill import DrillRecord

CHECK = "drill"


def look_at_drills(sight: Sight, drills: Sequence[DrillRecord] | None) -> Part:
    """:param drills: as the inventory has them, the newest first; None: nobody knows now, and what the watch
    before saw stays.
    """
    if drills is None:
        known = sight.previous.drill if sight.previous else None
        return Part(seen=(known,) if known else ())
    seen = _seen(drills)
    findings = [*_overdue(sight, seen)]
    if drills:
        findings += _of_last(sight, drills[0])
    return Part(seen=(seen,) if seen else (), findings=tuple(findings))


def _seen(drills: Sequence[DrillRecord]) -> DrillSeen | None:
    if not drills:
        return None
    last = drills[0]
    return DrillSeen(
        drill_id=last.drill_id,
        scenario=last.scenario,
        ended_at=last.ended_at,
        passed=last.passed,
        objectives_met=last.objectives_met,
        accepted=last.sign_off.accepted if last.sign_off else None,
        last_passed_at=next((one.ended_at for one in drills if one.passed), None),
        components=tuple(
            DrilledSeen(
                one.component,
                downtime=None if one.failure else one.downtime,
                loss=None if one.failure else one.loss,
                rto_met=one.rto_met,
                rpo_met=one.rpo_met,
            )
            for one in last.components
        ),
    )


def _overdue(sight: Sight, seen: DrillSeen | None) -> Iterator[Finding]:
    expected = sight.target.settings.drills
    if not expected.scheduled:
        return
    passed_at = seen.last_passed_at if seen else None
    # Nothing was due before anybody looked.
    previous = sight.previous
    since = passed_at or (previous.first_observed_at if previous else None) or sight.now
    if sight.now - since <= expected.due_every:
        return
    allowed = duration_in_words(expected.due_every)
    ago = duration_in_words(sight.now - since)
    if passed_at is not None:
        sentence = f"the last drill that passed was {ago} ago; one is expected every {allowed}"
    elif seen is not None:
        sentence = f"no drill has passed in the {ago} since the first watch; one is expected every {allowed}"
    else:
        sentence = f"no disaster was rehearsed in the {ago} since the first watch; {allowed} are allowed"
    name = sight.target.name
    yield _finding(
        sight,
        "overdue",
        sentence,
        f"start run_drill__{name}, or `python -m backstop run-drill --target {name}`",
    )


def _of_last(sight: Sight, last: DrillRecord) -> Iterator[Finding]:
    if not last.passed:
        yield _finding(
            sight,
            "last drill",
            f"the last drill ({last.scenario}) failed: {_why(last)}",
            f"read the report of {last.drill_id}, mend what it names, and rehearse it again",
        )
    missed = [
        f"the {what} of {the_component(one.component)}"
        for one in last.components
        if not one.failure
        for what, met in (("RTO", one.rto_met), ("RPO", one.rpo_met))
        if met is False
    ]
    if missed:
        yield _finding(
            sight,
            "objectives",
            f"the last drill ({last.scenario}) missed {', '.join(missed)}",
            f"the report of {last.drill_id} has the figures: make it faster, back up more often, or agree on "
            "another objective",
        )
    yield from _of_sign_off(sight, last)


def _of_sign_off(sight: Sight, last: DrillRecord) -> Iterator[Finding]:
    within = sight.target.settings.drills.sign_off_within
    command = f"python -m backstop sign-off-drill --target {sight.target.name} --drill {last.drill_id}"
    if last.sign_off is not None and not last.sign_off.accepted:
        yield _finding(
            sight,
            "sign-off",
            f"{last.sign_off.by} did not accept {last.drill_id}: it must be done again",
            "mend what the remarks name, and rehearse it again",
        )
    elif last.sign_off is None and within is not None and sight.now - last.ended_at > within:
        waited = duration_in_words(sight.now - last.ended_at)
        sentence = f"nobody has signed {last.drill_id} off, {waited} after its end"
        yield _finding(sight, "sign-off", sentence, f"read its report, then `{command} --accepted`")


def _why(drill: DrillRecord) -> str:
    lost = [one for one in drill.components if one.failure]
    if lost:
        return f"{the_component(lost[0].component)} did not come back: {lost[0].failure}"
    failed = [one for one in drill.checklist if one.outcome in (Outcome.FAILED, Outcome.NOT_DONE)]
    if failed:
        return f"{failed[0].item}: {failed[0].sentence}"
    return drill.left_behind[0] if drill.left_behind else "nothing was restored"


def _finding(sight: Sight, subject: str, sentence: str, next_step: str) -> Finding:
    return Finding(sight.target.name, CHECK, subject, Level.WARNING, sentence, next_step)
