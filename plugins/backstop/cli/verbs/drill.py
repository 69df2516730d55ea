"""``run-drill`` and ``sign-off-drill``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from backstop.cli.exit_codes import DAMAGED, DIFFERENT, DONE, PARTIAL
from backstop.cli.output import human_bytes, human_time, print_fields, print_json, print_table, say
from backstop.cli.session import Session, local_user
from backstop.cli.terminal import progress_bar
from backstop.errors import ConfigurationError
from backstop.model.access import AccessRole
from backstop.model.canonical import format_time
from backstop.model.drill import CHECKLIST, SignOff
from backstop.model.drill_document import drill_document
from backstop.model.figures import duration_in_words
from backstop.model.scenario import Loss, Scenario
from backstop.settings.arguments import parse_moment, utc_now

if TYPE_CHECKING:
    import argparse
    from datetime import timedelta

    from backstop.commands.drill.drill import Drill
    from backstop.commands.progress import Progress
    from backstop.model.drill import DrillRecord
    from backstop.model.drill_plan import DrillPlan
    from backstop.model.measured import ComponentRecovery


AIRFLOW = Loss.AIRFLOW.value


def run_drill(arguments: argparse.Namespace) -> int:
    session = Session(arguments, AccessRole.VERIFIER)
    with progress_bar() as progress:
        drill = _opened(session, progress, scenario=arguments.scenario)
        if arguments.tear_down:
            return _tear_down(drill, arguments)
        asked = {
            "scenario": _scenario(arguments.scenario),
            "seed": arguments.seed,
            "moment": parse_moment(arguments.moment) if arguments.moment else None,
            "requested_by": arguments.who or local_user(),
        }
        plan = drill.plan(**asked)
        if plan.scenario == AIRFLOW and arguments.scenario != AIRFLOW:
            # Its turn has come: from here on without what told so.
            drill = _opened(session, progress, scenario=AIRFLOW)
            plan = drill.plan(**{**asked, "scenario": AIRFLOW, "seed": plan.seed})
        if not arguments.dry_run:
            for sentence in plan.sentences:
                say(sentence)
            record = drill.run(plan)
    if arguments.dry_run:
        if arguments.json:
            print_json({"plan": plan.to_dict()})
        else:
            _print_plan(plan)
        return DONE
    if arguments.json:
        print_json({"drill": drill_document(record)})
    else:
        _print_record(record)
    return exit_code_of(record)


def _opened(session: Session, progress: Progress, *, scenario: str | None) -> Drill:
    """Where Airflow is supposed to be lost, its inventory is lost too."""
    from backstop.settings.drill import open_drill

    configuration = session.configuration
    if scenario == AIRFLOW:
        _without_airflow()
        configuration = configuration.model_copy(update={"inventory": None})
    return open_drill(
        configuration, session.target_name, session.credentials, progress=progress, attended=True
    )


def exit_code_of(record: DrillRecord) -> int:
    """What came back wrong, or not at all, weighs more than what came back late."""
    if not record.passed:
        return DAMAGED
    return DIFFERENT if record.objectives_met is False else DONE


def _tear_down(drill: Drill, arguments: argparse.Namespace) -> int:
    """What is under way is waited for."""
    found = drill.found()
    left = [sentence for plan in found for sentence in drill.tear_down(plan)]
    if arguments.json:
        print_json({"torn_down": [plan.drill_id for plan in found], "left_behind": left})
    else:
        print_fields([("torn down", plan.drill_id) for plan in found] or [("torn down", "nothing was left")])
    for sentence in left:
        say(f"backstop: {sentence}")
    return DIFFERENT if left else DONE


def sign_off_drill(arguments: argparse.Namespace) -> int:
    from backstop.settings.sign_off import sign_off

    session = Session(arguments, AccessRole.VERIFIER)
    said = SignOff(
        by=arguments.who or local_user(),
        at=utc_now(),
        accepted=arguments.accepted,
        remarks=arguments.remarks.strip(),
    )
    missing = sign_off(session.configuration, session.target_name, session.credentials, arguments.drill, said)
    for sentence in missing:
        say(f"backstop: {sentence}")
    word = "accepted" if said.accepted else "to be done again"
    if arguments.json:
        print_json(
            {
                "drill_id": arguments.drill,
                "by": said.by,
                "at": format_time(said.at),
                "accepted": said.accepted,
                "remarks": said.remarks,
                "missing": missing,
            }
        )
    else:
        print_fields([("drill", arguments.drill), ("signed off", f"{word}, by {said.by}")])
    return PARTIAL if missing else DONE


def _scenario(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return str(Scenario.parse(text))
    except ValueError as error:
        raise ConfigurationError(str(error), hint="see `python -m backstop run-drill --help`") from None


def _without_airflow() -> None:
    """From here on nothing in this process can import it, whatever it is installed for.

    :raises ConfigurationError: something has already.
    """
    if sys.modules.get("airflow") is not None:
        raise ConfigurationError(
            "Airflow has been imported: this drill supposes that it is lost",
            hint="run `python -m backstop run-drill` in a process of its own",
        )
    sys.modules["airflow"] = None  # type: ignore[assignment]


def _print_plan(plan: DrillPlan) -> None:
    fields = [
        ("disaster", f"{human_time(plan.disaster_at)}, {Scenario.parse(plan.scenario).sentence}"),
        (
            "drawn from",
            f"{human_time(plan.window_begins_at)} to {human_time(plan.window_ends_at)}, seed {plan.seed}",
        ),
        ("into", plan.directory),
    ]
    for one in plan.components:
        point = f", then WAL to {one.point}" if one.point else ""
        proven = f"proven {human_time(one.proven_at)}" if one.proven_at else "not proven"
        lines = [f"{one.label} in {one.repository}{point}; {proven}, {human_bytes(one.plain_bytes)}"]
        if one.loss is not None:
            lines.append(f"would lose {_words(one.loss)}, {_words(one.rpo)} allowed; {one.loss_says}")
        if one.forecast is not None:
            lines.append(
                f"would take {one.forecast.low_seconds:.0f} to {one.forecast.high_seconds:.0f} s, "
                f"{_words(one.rto)} allowed"
            )
        fields.append((one.component, "\n".join([*lines, *one.why])))
    print_fields([*fields, *(("know", sentence) for sentence in plan.notes)])


def _print_record(record: DrillRecord) -> None:
    result = "passed" if record.passed else "FAILED"
    met = {True: "objectives met", False: "objectives MISSED", None: "no objectives to judge"}
    print_fields(
        [
            ("drill", record.drill_id),
            ("disaster", f"{human_time(record.disaster_at)}, {Scenario.parse(record.scenario).sentence}"),
            ("seed", record.seed),
            ("result", f"{result}, {met[record.objectives_met]}"),
            *(("know", sentence) for sentence in record.notes),
            *(("left", sentence) for sentence in record.left_behind),
        ]
    )
    print_table(
        ["COMPONENT", "FROM", "BACK AFTER", "ALLOWED", "LOST", "ALLOWED", ""],
        [_row(one) for one in record.components],
    )
    rows = [
        [CHECKLIST.get(one.item, one.item), one.component or "all", one.outcome.value, one.sentence]
        for one in record.checklist
    ]
    print_table(["CHECKED", "OF", "OUTCOME", ""], rows)


def _row(one: ComponentRecovery) -> list[str]:
    missed = [
        word for word, met in (("too slow", one.rto_met), ("too much lost", one.rpo_met)) if met is False
    ]
    return [
        one.component,
        one.repository,
        "not back" if one.failure else _words(one.downtime),
        _words(one.rto),
        _words(one.loss),
        _words(one.rpo),
        one.failure or ", ".join(missed),
    ]


def _words(duration: timedelta | None) -> str:
    return "-" if duration is None else duration_in_words(duration)
