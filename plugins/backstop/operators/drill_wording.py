"""A drill as the note on its run, and in the words of the form that closes it. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.model.drill import CHECKLIST
from backstop.model.figures import duration_in_words, exact_time, in_short
from backstop.model.measured import Outcome
from backstop.model.scenario import Scenario
from backstop.operators.note import NOTE_LIMIT, as_text, in_code

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from backstop.model.drill import DrillRecord
    from backstop.model.measured import CheckedItem, ComponentRecovery
    from backstop.model.observation import ForecastSeen

_SIGNS = {
    Outcome.PASSED: "✓",
    Outcome.FAILED: "✗",
    Outcome.NOT_APPLICABLE: "–",
    Outcome.NOT_DONE: "○",
}
_DETAILS = 5


def verdict(record: DrillRecord) -> str:
    """How it went, in a few words."""
    if not record.passed:
        return "failed"
    return "passed, objectives missed" if record.objectives_met is False else "passed"


def shortfalls(record: DrillRecord) -> list[str]:
    """Everything that is not as it should be, a sentence each; empty: all is well."""
    found = [f"{one.component} did not come back: {one.failure}" for one in record.components if one.failure]
    found += ["nothing was restored"] if not record.components else []
    found += [
        f"{_about(one)}: {one.sentence}"
        for one in record.checklist
        if one.outcome in (Outcome.FAILED, Outcome.NOT_DONE) and not _follows(one, record)
    ]
    found += [sentence for one in record.components for sentence in _missed(one)]
    return found + [f"left behind: {sentence}" for sentence in record.left_behind]


def drill_note(record: DrillRecord, *, limit: int = NOTE_LIMIT) -> str:
    """Markdown: how it went, what came back in what time, and as many shortfalls as fit whole."""
    lines = [f"**{verdict(record)}**: {_scenario(record)} at {exact_time(record.disaster_at)}, "
             f"seed {in_code(record.seed)}"]  # fmt: skip
    lines += [f"- {_component(one)}" for one in record.components]
    lines += [f"- ✗ {as_text(sentence)}" for sentence in shortfalls(record)]
    pointer = "- … see the report of `record`"
    note: list[str] = []
    room = limit - len(pointer) - 1
    for line in lines:
        if len(line) + 1 > room:
            return "\n".join([*note, pointer])
        note.append(line)
        room -= len(line) + 1
    return "\n".join(note)


def drill_subject(record: DrillRecord) -> str:
    """The form's headline."""
    return f"Drill of {record.target}: {verdict(record)}. Is that as it should be?"


def drill_statements(record: DrillRecord, report: str) -> list[str]:
    """Markdown lines: what was supposed, what came back, the checklist with its results.

    :param report: where the whole report is.
    """
    supposed = _scenario(record)
    lines = [
        f"**{supposed[:1].upper()}{supposed[1:]}** at {exact_time(record.disaster_at)}, which lies between "
        f"{exact_time(record.window_begins_at)} and {exact_time(record.window_ends_at)} (seed "
        f"{in_code(record.seed)}). Everything was restored elsewhere, checked, and taken down again.",
        *(f"\n{as_text(sentence[:1].upper() + sentence[1:])}." for sentence in record.notes),
        "",
        "| Component | Back after | Allowed | Lost | Allowed | Forecast |",
        "|---|---|---|---|---|---|",
        *(_row(one) for one in record.components),
        "",
        "**Checklist**",
        "",
    ]
    for item, title in CHECKLIST.items():
        found = [one for one in record.checklist if one.item == item]
        lines.append(f"- {_SIGNS[worst(found)]} **{title}**: {worst(found).value}")
        for one in found:
            lines.append(f"  - {_SIGNS[one.outcome]} {one.component or 'all'}: {as_text(one.sentence)}")
            lines += [f"    - {as_text(detail)}" for detail in one.details[:_DETAILS]]
    if wrong := shortfalls(record):
        lines += ["", "**Not as it should be:**", "", *(f"- {as_text(sentence)}" for sentence in wrong)]
    notes = [f"{one.component}: {sentence}" for one in record.components for sentence in one.notes]
    if notes:
        lines += ["", "**Know this:**", "", *(f"- {as_text(sentence)}" for sentence in notes)]
    return [*lines, "", f"[The whole report]({report})"]


def worst(found: list[CheckedItem]) -> Outcome:
    """Of one item of the checklist, over all components; not done where nothing was."""
    for outcome in (Outcome.FAILED, Outcome.NOT_DONE, Outcome.PASSED, Outcome.NOT_APPLICABLE):
        if any(one.outcome is outcome for one in found):
            return outcome
    return Outcome.NOT_DONE


def _follows(one: CheckedItem, record: DrillRecord) -> bool:
    """Whether it only says once more that a component is not back."""
    return any(other.failure and other.failure in one.sentence for other in record.components)


def _scenario(record: DrillRecord) -> str:
    return Scenario.parse(record.scenario).sentence


def _about(one: CheckedItem) -> str:
    title = CHECKLIST.get(one.item, one.item)
    return f"{title} ({one.component})" if one.component else title


def _missed(one: ComponentRecovery) -> Iterator[str]:
    if one.failure:
        return
    if one.rto_met is False and one.rto is not None:
        took = "did not end" if one.downtime is None else f"took {duration_in_words(one.downtime)}"
        yield f"{one.component} {took}, {duration_in_words(one.rto)} are allowed"
    if one.rpo_met is False and one.loss is not None and one.rpo is not None:
        yield f"{one.component} lost {duration_in_words(one.loss)}, {duration_in_words(one.rpo)} are allowed"


def _component(one: ComponentRecovery) -> str:
    if one.failure:
        return f"`{one.component}` from {one.repository}: **not back**"
    lost = "loss not known" if one.loss is None else f"{duration_in_words(one.loss)} lost"
    return f"`{one.component}` from {one.repository}: back after {_words(one.downtime)}, {lost}"


def _row(one: ComponentRecovery) -> str:
    forecast = one.forecast
    cells = (
        f"`{one.component}` from {one.repository}, `{one.label}`",
        "**not back**" if one.failure else _marked(_words(one.downtime), met=one.rto_met),
        _words(one.rto),
        "–" if one.failure else _marked(_words(one.loss), met=one.rpo_met),
        _words(one.rpo),
        "–" if forecast is None else _forecast(forecast),
    )
    return f"| {' | '.join(cells)} |"


def _words(duration: timedelta | None) -> str:
    return "–" if duration is None else duration_in_words(duration)


def _marked(text: str, *, met: bool | None) -> str:
    return f"**{text} ✗**" if met is False else text


def _forecast(forecast: ForecastSeen) -> str:
    low, high = (
        duration_in_words(timedelta(seconds=one)) for one in (forecast.low_seconds, forecast.high_seconds)
    )
    return f"{low} to {high}"


def answered_note(record: DrillRecord, *, by: str, accepted: bool, now: datetime) -> str:
    """The note once somebody has answered."""
    said = "accepted" if accepted else "to be done again"
    after = in_short(now - record.ended_at)
    last = f"- signed off by {as_text(by[:100])} {after} later: **{said}**"
    return f"{drill_note(record, limit=NOTE_LIMIT - len(last) - 1)}\n{last}"
