"""``recovery-windows`` and ``restore-to-point-in-time``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.cli.output import human_bytes, print_fields, print_json, print_table, say
from backstop.cli.session import Session
from backstop.cli.terminal import confirm, declined, progress_bar
from backstop.commands.recovery.cut_over import cut_over, refuse_unfit_place, reserve_slot
from backstop.commands.recovery.recover import PointInTimeRestore
from backstop.commands.recovery.sources import recovery_sources
from backstop.commands.recovery.summary import result_document, summary
from backstop.errors import BackstopError
from backstop.model.access import AccessRole
from backstop.model.canonical import format_time
from backstop.model.recovery import RecoveryTarget
from backstop.model.window import recovery_windows as windows_of
from backstop.model.window import timeline_problems
from backstop.settings.arguments import utc_now
from backstop.settings.cluster import (
    archive_settings,
    cutover_commands,
    recover_settings,
    recovery_destination,
)
from backstop.wiring import replication_connection

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from backstop.commands.recovery.cut_over import CutOverOutcome
    from backstop.commands.recovery.result import RecoveryResult
    from backstop.model.recovery import RecoveryPlan, RecoverySources
    from backstop.model.window import RecoveryWindow
    from backstop.repository.catalog import Repository


def recovery_windows(arguments: argparse.Namespace) -> int:
    session = Session(arguments, AccessRole.RESTORER)
    repository, sources = _first_sources(session, arguments)
    windows = windows_of(sources)
    problems = timeline_problems(sources)
    if arguments.json:
        print_json(
            {
                "repository": repository.name,
                "system_id": sources.wal.system_id,
                "windows": [_window_document(window) for window in windows],
                "problems": list(problems),
            }
        )
        return 0
    rows = [
        [
            " + ".join(window.chain),
            str(window.timeline),
            f"{window.start_time:%Y-%m-%d %H:%M:%S}Z",
            f"{window.end_time:%Y-%m-%d %H:%M:%S}Z" if window.end_time else "-",
            window.ends_because,
        ]
        for window in windows
    ]
    print_table(["BASE BACKUP", "TIMELINE", "FROM", "TO", "ENDS BECAUSE"], rows)
    for sentence in problems:
        say(f"backstop: {sentence}")
    say(f"backstop: as repository {repository.name} has it")
    return 0


def _window_document(window: RecoveryWindow) -> dict[str, Any]:
    return {
        "chain": list(window.chain),
        "timeline": window.timeline,
        "from": format_time(window.start_time),
        "to": format_time(window.end_time) if window.end_time else None,
        "from_lsn": str(window.start_lsn),
        "to_lsn": str(window.end_lsn) if window.end_lsn else None,
        "gap": window.has_gap,
        "ends_because": window.ends_because,
    }


def _first_sources(session: Session, arguments: argparse.Namespace) -> tuple[Repository, RecoverySources]:
    keyring = session.keyring_for_reading(None)
    failures: list[BackstopError] = []
    for name in session.repository_names(arguments.repository):
        try:
            repository = session.repository(name)
            return repository, recovery_sources(repository, target=session.target_name, keyring=keyring)
        except BackstopError as error:
            failures.append(error)
            say(f"backstop: repository {name} is passed over: {error.message}")
    raise failures[0]


def restore_to_point_in_time(arguments: argparse.Namespace) -> int:
    session = Session(arguments, AccessRole.RESTORER)
    goal = RecoveryTarget.parse(
        arguments.to, timeline=arguments.timeline, inclusive=not arguments.exclusive, base=arguments.base
    )
    # Refused now: hours later would be too late to learn that nobody knows how to stop the server.
    live = cutover_commands(session.configuration, session.target_name)[0] if arguments.cut_over else None
    destination: Path = arguments.into or recovery_destination(
        session.configuration, session.target_name, now=utc_now()
    )
    if live is not None:
        refuse_unfit_place(live, beside=destination)
    with progress_bar() as progress:
        restore, plan = _first_plan(session, arguments, goal, destination)
        restore.progress = progress
    planned = summary(
        plan, target=session.target_name, repository=restore.repository.name, destination=destination
    )
    if not arguments.json or not (arguments.dry_run or arguments.yes):
        _print_plan(planned, live)
    if arguments.dry_run:
        if arguments.json:
            print_json({"plan": planned})
        return 0
    question = f"Recover {session.target_name} to {plan.target} in {destination}"
    question += f", then put it in the place of {live}?" if live else "?"
    if not confirm(question, yes=arguments.yes):
        return declined()
    with progress_bar() as progress:
        restore.progress = progress
        result = restore.run(plan)
    outcome = _cut_over(session, result) if arguments.cut_over else None
    if arguments.json:
        print_json(
            {
                "plan": planned,
                "recovered": result_document(result),
                "cut_over": outcome.to_dict() if outcome else None,
            }
        )
    else:
        _print_result(result, outcome)
    return 0


def _first_plan(
    session: Session, arguments: argparse.Namespace, goal: RecoveryTarget, destination: Path
) -> tuple[PointInTimeRestore, RecoveryPlan]:
    """From the named repository, or the first that leads there; the others heal its WAL."""
    keyring = session.keyring_for_reading(arguments.escrow_key)
    settings = recover_settings(session.configuration, session.target_name, destination=destination)
    names = session.repository_names(arguments.repository)
    opened: dict[str, Repository] = {}
    failures: list[BackstopError] = []
    for name in session.repository_names():
        try:
            opened[name] = session.repository(name)
        except BackstopError as error:
            failures.append(error)
            say(f"backstop: repository {name} is passed over: {error.message}")
    for name in names:
        if name not in opened:
            continue
        with progress_bar() as progress:
            restore = PointInTimeRestore(
                repository=opened[name],
                target=session.target_name,
                keyring=keyring,
                settings=settings,
                clock=utc_now,
                progress=progress,
                others=[one for other, one in opened.items() if other != name],
            )
            try:
                return restore, restore.plan(goal)
            except BackstopError as error:
                failures.append(error)
                if len(names) > 1:
                    say(f"backstop: repository {name} does not lead there: {error.message}")
    raise failures[0]


def _cut_over(session: Session, result: RecoveryResult) -> CutOverOutcome:
    named = session.configuration, session.target_name
    live, commands = cutover_commands(*named)
    outcome = cut_over(result, live=live, cluster=commands, now=utc_now())
    slot = archive_settings(*named, []).slot_of(session.target_name)
    try:
        reserve_slot(replication_connection(*named, session.credentials), slot)
    except BackstopError as error:
        say(f"backstop: slot {slot} could not be made: {error}")
    return outcome


def _print_plan(planned: dict[str, Any], live: Path | None) -> None:
    fields = [
        ("point", f"{planned['point']} on timeline {planned['timeline']}"),
        ("from", f"{' + '.join(planned['chain'])} in {planned['repository']}"),
        ("WAL", f"{planned['segments']} whole segments and what lies behind, up to {planned['end_lsn']}"),
        ("into", planned["destination"]),
        ("live", _live_field(live)),
    ]
    fields += [("because", sentence) for sentence in planned["why"]]
    fields += [("warning", sentence) for sentence in planned["warnings"]]
    print_fields(fields)


def _live_field(live: Path | None) -> str:
    if live is None:
        return "left alone"
    return f"{live}: will be kept beside" if live.is_dir() else f"{live}: is not there; nothing to keep"


def _print_result(result: RecoveryResult, outcome: CutOverOutcome | None) -> None:
    last = format_time(result.last_commit_at) if result.last_commit_at else "none replayed"
    fields = [
        ("recovered", f"{result.data}, stopped" if outcome is None else "to the live place"),
        ("up to", f"{result.end_lsn}, last commit {last}; now timeline {result.timeline}"),
        (
            "replayed",
            f"{human_bytes(result.replayed_bytes)} of WAL, "
            f"{human_bytes(round(result.replayed_bytes_per_second))}/s",
        ),
        ("took", ", ".join(f"{name} {seconds:.1f} s" for name, seconds in result.seconds.items())),
    ]
    fields += [("healed", sentence) for sentence in result.healed]
    fields += [("warning", sentence) for sentence in result.warnings]
    if outcome is not None:
        fields += [
            ("live", outcome.live),
            ("kept", outcome.kept or "nothing: there was no live cluster"),
            ("downtime", f"{outcome.downtime_seconds:.1f} s"),
            *(("noted", sentence) for sentence in outcome.notes),
            ("now", outcome.unprotected),
        ]
    print_fields(fields)
