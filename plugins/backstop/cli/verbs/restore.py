"""``restore-database``: the way back when Airflow is down. Whoever runs it here is the one who approves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.cli.output import human_bytes, human_server, print_fields, print_json
from backstop.cli.session import Session
from backstop.cli.terminal import confirm, declined, progress_bar
from backstop.commands.database.restore import DatabaseRestore
from backstop.errors import ConfigurationError, SwapBlockedError
from backstop.model.access import AccessRole
from backstop.settings.arguments import utc_now
from backstop.settings.database import application_commands, restore_settings
from backstop.wiring import cluster_connection

if TYPE_CHECKING:
    import argparse

    from backstop.commands.database.plan import RestorePlan
    from backstop.commands.database.swap import Exchange, SwapOutcome
    from backstop.postgres.connection import ClusterConnection


def restore_database(arguments: argparse.Namespace) -> int:
    session = Session(arguments, AccessRole.RESTORER)
    if arguments.swap_back is not None:
        return _swap_back(session, arguments)
    if arguments.label is None:
        raise ConfigurationError("which backup?", hint="add --label with a label, latest or latest-proven")
    repository, label = session.locate(arguments.label, only=arguments.repository, dumps=True)
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
        return declined()
    return _carry_out(session, arguments, restore, plan)


def _carry_out(
    session: Session, arguments: argparse.Namespace, restore: DatabaseRestore, plan: RestorePlan
) -> int:
    with progress_bar() as progress:
        restore.progress = progress
        restore.restore_beside(plan)
        verdict = restore.validate(plan)
    outcome = _swap_in(session, plan, verdict["database_oid"]) if arguments.swap else None
    if arguments.json:
        swapped = outcome.to_dict() if outcome else None
        print_json({"plan": plan.to_dict(), "validated": verdict, "swap": swapped})
    else:
        seconds = verdict["seconds"].get("total", 0)
        fields = [
            ("validated", f"{verdict['tables']} tables, {verdict['rows']} rows, {seconds:.1f} s in all")
        ]
        fields += [("not set", sentence) for sentence in verdict["not_set"]]
        print_fields(fields + (_outcome_fields(outcome) if outcome else [("restored", plan.beside)]))
    return 0


def _swap_in(session: Session, plan: Exchange, beside_oid: int | None) -> SwapOutcome:
    from backstop.commands.database.swap import swap_in

    return swap_in(
        plan,
        server=_server(session),
        application=application_commands(session.configuration, session.target_name),
        accept_logical_slots=_database(session).restore.accept_logical_slots,
        beside_oid=beside_oid,
    )


def _swap_back(session: Session, arguments: argparse.Namespace) -> int:
    """Needs the server alone: no repository, no keys."""
    from backstop.commands.database.swap import plan_swap_back

    server, rules = _server(session), _database(session).restore
    names, blockers = plan_swap_back(
        _database(session).dbname,
        former=arguments.swap_back,
        server=server,
        accept_logical_slots=rules.accept_logical_slots,
        now=utc_now(),
    )
    if blockers:
        raise SwapBlockedError(
            f"{names.database} cannot be swapped: " + "; ".join(blockers),
            hint="clear what is named, then swap back; nothing has been changed",
        )
    question = f"Put {names.beside} back as {names.database} on {server.location}?"
    if not confirm(question, yes=arguments.yes):
        return declined()
    outcome = _swap_in(session, names, names.beside_oid)
    if arguments.json:
        print_json({"swap": outcome.to_dict()})
    else:
        print_fields(_outcome_fields(outcome))
    return 0


def _server(session: Session) -> ClusterConnection:
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
        ("state of", plan.snapshot_at),
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
