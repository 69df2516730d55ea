"""What ``recover-from-disaster`` prints: how it stands, and which ways back there are."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from backstop.cli.output import human_bytes, human_time, print_fields, print_table
from backstop.model.canonical import parse_time
from backstop.model.figures import duration_in_words

if TYPE_CHECKING:
    from collections.abc import Mapping


def print_status(status: Mapping[str, Any]) -> None:
    """The clock first: it is what everybody asks for."""
    declared = f"{_time(status['declared_at'])} by {status['declared_by']}"
    if status["backdated"]:
        declared += f", said at {_time(status['recorded_at'])}"
    fields = [
        ("incident", f"{status['incident_id']}: {status['what']}"),
        ("clock from", declared),
        ("clock", clock_words(status)),
        *((component, rto_words(one)) for component, one in status["objectives"].items()),
    ]
    if status["before"]:
        fields.append(("before", f"nothing that was written after {_time(status['before'])} comes back"))
    if status["plan"]:
        fields.append(("plan", f"{status['plan']['option']}: {status['plan']['title']}"))
    if status["left"]:
        fields.append(("not back", ", ".join(status["left"])))
    if not status["closed_at"]:
        fields.append(("next", next_words(status)))
    if status["closed_at"]:
        fields.append(
            ("closed", f"{_time(status['closed_at'])} by {status['closed_by']}: {status['outcome']}")
        )
    print_fields(fields)
    rows = [[one["step"], one["state"], _clock_of(one), one["sentence"] or "-"] for one in status["steps"]]
    print_table(["STEP", "STATE", "TOOK", "WHAT"], rows)


def next_words(status: Mapping[str, Any]) -> str:
    """What to type next."""
    states = {one["step"]: one["state"] for one in status["steps"]}
    if status["plan"]:
        failed = [step for step, state in states.items() if state == "failed"]
        if failed:
            return (
                f"mend {failed[0]}, then `--run`; or leave it out: `--run --skip {failed[0]} --because WHY`"
            )
        if "running" in states.values():
            return "wait: it goes on"
        return "`--run` does what is left"
    if states["assess"] == "open":
        return "`--options`: what is lost, and which ways back there are"
    return "`--choose OPTION` of those that `--options` shows; then `--run`"


def clock_words(status: Mapping[str, Any]) -> str:
    """``12 min 3 s; of them 2 min waiting for people``."""
    words = seconds_in_words(status["elapsed_seconds"])
    waited = status["waited_seconds"]
    return f"{words}; of them {seconds_in_words(waited)} waiting for people" if waited else words


def rto_words(objective: Mapping[str, Any]) -> str:
    """Of one component."""
    taken, left = seconds_in_words(objective["taken_seconds"]), objective["left_seconds"]
    so_far = f"back after {taken}" if objective["back"] else f"{taken} so far"
    if left is None:
        return f"{so_far}; no objective was set"
    allowed = seconds_in_words(objective["rto_seconds"])
    if objective["back"]:
        return f"{so_far}; {allowed} are allowed" + ("" if left >= 0 else ": MISSED")
    if left < 0:
        return f"{so_far}; RTO of {allowed} MISSED by {seconds_in_words(-left)}"
    return f"{so_far}; {seconds_in_words(left)} of {allowed} are left"


def print_assessment(assessment: Mapping[str, Any], *, planned: bool = False) -> None:
    """What is damaged, what does not answer, and the table of options.

    :param planned: the plan is printed behind it, so that nothing more is said of what is recommended.
    """
    fields = [(one["component"], _component(one)) for one in assessment["components"]]
    fields += [
        (f"repository {one['name']}", one["problem"]) for one in assessment["repositories"] if one["problem"]
    ]
    fields += [("passed over", sentence) for sentence in assessment["passed_over"]]
    fields.append(
        ("to come back", ", ".join(assessment["lost"]) or "nothing is damaged, and nothing was named")
    )
    print_fields(fields)
    rows = [_row(one) for one in assessment["options"]]
    if rows:
        print_table(["", "OPTION", "TAKES", "LOSES", "PROVEN", "WHAT"], rows)
    for one in assessment["options"]:
        if one["recommended"]:
            print_fields(
                [
                    ("recommended", f"{one['id']}: {one['because']}"),
                    *(("part", part_words(part)) for part in one["parts"] if not planned),
                    *(("risk", sentence) for sentence in one["risk"] if not planned),
                ]
            )


def part_words(part: Mapping[str, Any]) -> str:
    """One component of an option or a plan."""
    proven = "proven" if part["proven"] else "NOT PROVEN"
    return (
        f"{part['component']}: {part['label']} in {part['repository']}, {proven}, "
        f"{human_bytes(part['bytes'])}, state of {_time(part['recovered_to'])}"
    )


def seconds_in_words(seconds: float) -> str:
    return duration_in_words(timedelta(seconds=seconds))


def _component(one: Mapping[str, Any]) -> str:
    said = " (named as lost)" if one["declared"] else ""
    return "\n".join([f"{one['state'].upper()}{said}: {one['sentence']}", *one["details"]])


def _row(option: Mapping[str, Any]) -> list[str]:
    takes = "nobody knows"
    if option["median_seconds"] is not None:
        takes = (
            f"{seconds_in_words(option['median_seconds'])} "
            f"({seconds_in_words(option['low_seconds'])} to {seconds_in_words(option['high_seconds'])})"
        )
    loses = seconds_in_words(option["loss_seconds"]) if option["loss_seconds"] else "nothing"
    title = option["title"] + "".join(f"; WITHOUT {one}" for one in option["impossible"])
    proven = "yes" if option["proven"] else "no"
    return ["*" if option["recommended"] else "", option["id"], takes, loses, proven, title]


def _clock_of(step: Mapping[str, Any]) -> str:
    if not step["began_at"] or not step["ended_at"]:
        return "-"
    return duration_in_words(parse_time(step["ended_at"]) - parse_time(step["began_at"]))


def _time(text: str) -> str:
    return human_time(parse_time(text))
