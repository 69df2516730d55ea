"""``restore-database``: the way back when Airflow is down. Whoever runs it here is the one who approves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.cli.output import human_bytes, human_server, print_fields, print_json, say
from backstop.cli.session import Session
from backstop.cli.terminal import confirm, progress_bar
from backstop.commands.restore import DatabaseRestore, RestorePlan
from backstop.errors import RestoreError, SwapBlockedError
from backstop.settings import application_commands, restore_settings, utc_now
from backstop.wiring import cluster_connection

if TYPE_CHECKING:
    import argparse

    from backstop.commands.swap import SwapOutcome

DECLINED = 1


def restore_database(arguments: argparse.Namespace) -> int:
    session = Session(arguments)
    if arguments.swap_back:
        return _swap_back(session, arguments)
    repository, label = session.locate(arguments.label, only=arguments.repository)
    reader = cluster_connection(session.configuration, session.target_name, session.credentials)
    with progress_bar() as progress:
        restore = DatabaseRestore(
            repository=repository,
            label=label,
            server=_server(session),
            keyring=session.keyring_for_reading(arguments.escrow_key),
            settings=restore_settings(
                session.configuration, session.target_name, [repository], reader=reader
            ),
            clock=utc_now,
            progress=progress,
        )
        plan = restore.plan()
    if not arguments.json or not (arguments.dry_run or arguments.yes):
        _print_plan(plan)
    if arguments.dry_run:
        if arguments.json:
            print_json({"plan": plan.to_dict()})
        return 0
    if arguments.swap and plan.blockers:
        raise SwapBlockedError(
            f"{plan.database} cannot be swapped: " + "; ".join(plan.blockers),
            hint="clear what is named, or restore with --beside-only; nothing has been changed",
        )
    if not confirm(_question(plan, swap=arguments.swap), yes=arguments.yes):
        say("backstop: not confirmed; nothing has been changed")
        return DECLINED
    return _carry_out(session, arguments, restore, plan)


def _carry_out(
    session: Session, arguments: argparse.Namespace, restore: DatabaseRestore, plan: RestorePlan
) -> int:
    with progress_bar() as progress:
        restore.progress = progress
        restore.restore_beside(plan)
        verdict = restore.validate(plan)
    outcome = _swap_in(session, plan) if arguments.swap else None
    if arguments.json:
        swapped = outcome.to_dict() if outcome else None
        print_json({"plan": plan.to_dict(), "validated": verdict, "swap": swapped})
    else:
        seconds = verdict["seconds"].get("total", 0)
        fields = [
            ("validated", f"{verdict['tables']} tables, {verdict['rows']} rows, {seconds:.1f} s in all")
        ]
        print_fields(fields + (_outcome_fields(outcome) if outcome else [("restored", plan.beside)]))
    return 0


def _swap_in(session: Session, plan: RestorePlan) -> SwapOutcome:
    from backstop.commands.swap import swap_in

    return swap_in(
        plan,
        server=_server(session),
        application=application_commands(session.configuration, session.target_name),
        accept_logical_slots=_database(session).restore.accept_logical_slots,
    )


def _swap_back(session: Session, arguments: argparse.Namespace) -> int:
    """Needs names alone: no repository, no keys."""
    from backstop.commands.swap import swap_back

    plan = _plan_of_names(session, arguments)
    question = f"Put {plan.old} back as {plan.database} on {_server(session).location}?"
    if not confirm(question, yes=arguments.yes):
        say("backstop: not confirmed; nothing has been changed")
        return DECLINED
    outcome = swap_back(
        plan,
        server=_server(session),
        application=application_commands(session.configuration, session.target_name),
    )
    if arguments.json:
        print_json({"swap": outcome.to_dict()})
    else:
        print_fields(_outcome_fields(outcome))
    return 0


def _plan_of_names(session: Session, arguments: argparse.Namespace) -> RestorePlan:
    from backstop.postgres import databases

    if arguments.label.startswith("latest"):
        raise RestoreError(
            "which restore to take back must be said by its label",
            hint="the former database's name ends in it: see `psql -l`",
        )
    database = _database(session).dbname
    return RestorePlan(
        target=session.target_name,
        repository="",
        label=arguments.label,
        database=database,
        beside=databases.beside_name(database, arguments.label),
        old=databases.old_name(database, arguments.label),
        owner="",
        live_exists=True,
        backup_finished_at="",
        proven_at=None,
        server_version=0,
        plain_bytes=0,
        stored_bytes=0,
        tables=0,
        rows=0,
        blockers=(),
        warnings=(),
    )


def _server(session: Session) -> Any:
    return cluster_connection(
        session.configuration, session.target_name, session.credentials, for_restore=True
    )


def _database(session: Session) -> Any:
    return session.configuration.targets[session.target_name].database


def _question(plan: RestorePlan, *, swap: bool) -> str:
    if swap:
        return f"Restore {plan.label}, then put it in the place of the live database {plan.database}?"
    return f"Restore {plan.label} into {plan.beside}?"


def _print_plan(plan: RestorePlan) -> None:
    proven = f"proven {plan.proven_at}" if plan.proven_at else "NOT PROVEN"
    fields = [
        ("backup", f"{plan.label} from {plan.repository}, {proven}"),
        ("finished", plan.backup_finished_at),
        (
            "content",
            f"{plan.tables} tables, {plan.rows} rows, PostgreSQL {human_server(plan.server_version)}",
        ),
        ("to fetch", f"{human_bytes(plan.stored_bytes)}, {human_bytes(plan.plain_bytes)} unpacked"),
        ("into", plan.beside),
        ("live", plan.database if plan.live_exists else f"{plan.database} (does not exist)"),
        ("kept as", plan.old),
    ]
    fields += [("warning", sentence) for sentence in plan.warnings]
    fields += [("blocks swap", sentence) for sentence in plan.blockers]
    print_fields(fields)


def _outcome_fields(outcome: SwapOutcome) -> list[tuple[str, str]]:
    return [
        ("live", outcome.live),
        ("kept", outcome.kept or "nothing: there was no live database"),
        ("closed for", f"{outcome.closed_seconds:.3f} s, {outcome.disconnected} sessions ended"),
        ("downtime", f"{outcome.downtime_seconds:.1f} s, application commands included"),
    ]
