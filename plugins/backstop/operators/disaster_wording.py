"""An assessment in the words of the form in which somebody chooses how a disaster is recovered from. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from backstop.commands.disaster.words import named
from backstop.model.canonical import parse_time
from backstop.model.figures import duration_in_words, exact_time, in_short

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

_LISTED = 8
_STATES = {"whole": "whole", "damaged": "**damaged**", "gone": "**gone**", "unknown": "**not known**"}


def assessment_lines(assessment: Mapping[str, Any], now: datetime) -> list[str]:
    """Markdown: what is damaged, where backups can be read, and the options."""
    declared = parse_time(assessment["declared_at"])
    lines = [
        f"Declared at {exact_time(declared)}, {in_short(now - declared)} ago: the clock of the objectives "
        "runs from there. Waiting for this answer is recorded apart.",
        "",
        "| Component | Is | Found |",
        "|---|---|---|",
        *(_component(one) for one in assessment["components"]),
        "",
        "| Option | Brings back | As of | Loses | Takes, in eight of ten cases | Proven |",
        "|---|---|---|---|---|---|",
    ]
    for option in assessment["options"]:
        lines += _option_rows(option)
    lines += [*_because(assessment), *_risks(assessment["options"]), *_repositories(assessment)]
    return lines


def option_label(option: Mapping[str, Any]) -> str:
    """In the list that is chosen from: one line."""
    loses = "nothing lost" if not option["loss_seconds"] else f"{_seconds(option['loss_seconds'])} lost"
    takes = (
        "time not known"
        if option["median_seconds"] is None
        else f"about {_seconds(option['median_seconds'])}"
    )
    mark = " (recommended)" if option.get("recommended") else ""
    lacks = f", without {len(option['impossible'])} of what is lost" if option["impossible"] else ""
    return f"{option['title']}: {loses}, {takes}{lacks}{mark}"


def _component(one: Mapping[str, Any]) -> str:
    said = " (was declared lost)" if one.get("declared") else ""
    found = "; ".join([str(one["sentence"]), *map(str, one.get("details", ())[:_LISTED])])
    return f"| {named(one['component'])} | {_STATES.get(one['state'], one['state'])}{said} | {_cell(found)} |"


def _option_rows(option: Mapping[str, Any]) -> Iterator[str]:
    title = f"**{_cell(option['title'])}**" if option.get("recommended") else _cell(option["title"])
    for number, part in enumerate(option["parts"]):
        whence = f"{named(part['component'])} from `{part['label']}` in {part['repository']}"
        row = [
            title if number == 0 else "",
            whence,
            exact_time(parse_time(part["recovered_to"])),
            _loss(part),
            _takes(part.get("forecast")),
            "yes" if part["proven"] else "**no**",
        ]
        yield f"| {' | '.join(row)} |"


def _loss(part: Mapping[str, Any]) -> str:
    if part["loss_seconds"] is None:
        return "not known"
    return _seconds(part["loss_seconds"]) if part["loss_seconds"] else "nothing"


def _takes(forecast: Mapping[str, Any] | None) -> str:
    if not forecast:
        return "not known: too few restores"
    low, middle, high = (_seconds(forecast[f"{name}_seconds"]) for name in ("low", "median", "high"))
    return f"about {middle} ({low} to {high})"


def _because(assessment: Mapping[str, Any]) -> list[str]:
    best = next((one for one in assessment["options"] if one.get("recommended")), None)
    if best is None:
        return ["", "**Nothing is recommended:** nothing is damaged, as far as can be seen."]
    return ["", f"**Recommended:** {best['title']}: {best['because']}."]


def _risks(options: Sequence[Mapping[str, Any]]) -> list[str]:
    lines: list[str] = []
    for option in options:
        if option["risk"]:
            lines += ["", f"**Know this of “{option['title']}”:**", ""]
            lines += [f"- {sentence}" for sentence in option["risk"][:_LISTED]]
    return lines


def _repositories(assessment: Mapping[str, Any]) -> list[str]:
    away = [one for one in assessment["repositories"] if not one["reachable"]]
    lines = [f"- repository {one['name']} cannot be read: {one['problem']}" for one in away]
    lines += [f"- passed over: {sentence}" for sentence in assessment.get("passed_over", ())[:_LISTED]]
    return ["", "**Not among the options:**", "", *lines] if lines else []


def _seconds(count: float) -> str:
    return duration_in_words(timedelta(seconds=float(count)))


def _cell(text: str) -> str:
    """Within a table: a bar would end the cell."""
    return " ".join(text.split()).replace("|", "\\|")


def incident_note(status: Mapping[str, Any]) -> str:
    """On the run, once it is over: what came back, in what time, people's share apart."""
    lines = [f"`{status['incident_id']}`: {_cell(str(status.get('what', '')))}", ""]
    for step in status["steps"]:
        if step["step"].startswith("recover:"):
            lines.append(
                f"- {named(step['step'].removeprefix('recover:'))}: {step['sentence'] or step['state']}"
            )
    took = _seconds(status["elapsed_seconds"])
    waited = status.get("waited_seconds") or 0
    lines.append(
        f"- {took} since it was declared"
        + (f", {_seconds(waited)} of them waiting for people" if waited else "")
    )
    return "\n".join(lines)
