"""``rescue-tables``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.cli.output import print_fields, print_json
from backstop.cli.session import Session
from backstop.cli.terminal import confirm, declined, progress_bar
from backstop.commands.rescue.plan import Destination
from backstop.commands.rescue.sources import BackupSource, RunningSource, TableSource
from backstop.commands.rescue.tables import TableRescue
from backstop.credentials import postgres_connection
from backstop.model.access import AccessRole
from backstop.settings.arguments import utc_now
from backstop.settings.database import staging
from backstop.wiring import cluster_connection, open_repositories

if TYPE_CHECKING:
    import argparse

    from backstop.commands.progress import Progress
    from backstop.commands.rescue.plan import RescuePlan
    from backstop.model.backup import BackupLabel


def rescue_tables(arguments: argparse.Namespace) -> int:
    session = Session(arguments, AccessRole.RESTORER)
    database = session.configuration.targets[session.target_name].database
    with progress_bar() as progress:
        source, label = _source(session, arguments, progress)
        rescue = TableRescue(
            source=source,
            server=cluster_connection(
                session.configuration, session.target_name, session.credentials, for_restore=True
            ),
            database=database.dbname,
            tables=arguments.tables,
            into=_destination(arguments, label),
            clock=utc_now,
            progress=progress,
            triggers=arguments.with_triggers,
            functions=arguments.with_functions,
            allow_superuser=database.restore.allow_superuser,
            label=label,
        )
        plan = rescue.plan()
    if not arguments.json:
        _print_plan(plan)
    if arguments.dry_run:
        if arguments.json:
            print_json({"plan": plan.to_dict()})
        return 0
    question = f"Rescue {len(plan.tables)} tables into {plan.into}?"
    if not confirm(question, yes=arguments.yes):
        return declined()
    with progress_bar() as progress:
        rescue.progress = progress
        report = rescue.run()
    _print_report(report, as_json=arguments.json)
    return 0


def _source(
    session: Session, arguments: argparse.Namespace, progress: Progress
) -> tuple[TableSource, BackupLabel | None]:
    if arguments.clone is not None:
        database = session.configuration.targets[session.target_name].database
        connection = postgres_connection(session.credentials.get(arguments.clone), database.dbname)
        # Only its name for a folder is needed of the repositories, and only when no spool is configured.
        repositories = (
            []
            if database.spool
            else open_repositories(session.configuration, session.target_name, session.credentials)
        )
        folder = staging(session.configuration, session.target_name, repositories)
        return RunningSource(connection, folder), None
    repository, label = session.locate(arguments.label, only=arguments.repository, dumps=True)
    return BackupSource(
        repository=repository,
        label=label,
        keyring=session.keyring_for_reading(arguments.escrow_key),
        scratch=staging(session.configuration, session.target_name, [repository]),
        clock=utc_now,
        progress=progress,
    ), label


def _destination(arguments: argparse.Namespace, label: BackupLabel | None) -> Destination:
    if arguments.into_database is not None:
        return Destination("database", arguments.into_database)
    stamp = label.text[:16].lower() if label else f"{utc_now():%Y%m%dt%H%M%Sz}"
    return Destination("schema", arguments.into_schema or f"rescued_{stamp}")


def _print_plan(plan: RescuePlan) -> None:
    fields = [("from", plan.source), ("into", plan.into)]
    fields += [("table", f"{old} as {new}") for old, new in plan.tables.items()]
    fields += [("rows", str(plan.rows))] if plan.rows is not None else []
    fields += [("left out", sentence) for sentence in plan.left_out]
    fields += [("note", sentence) for sentence in plan.notes]
    print_fields(fields)


def _print_report(report: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(report)
        return
    fields = [
        ("rescued", f"{name}: {rows} rows, equal to the backup's") for name, rows in report["rows"].items()
    ]
    print_fields([*fields, ("took", f"{report['seconds'].get('total', 0):.1f} s")])
