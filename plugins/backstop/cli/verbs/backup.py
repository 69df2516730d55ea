"""``back-up-database``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from backstop.cli.exit_codes import DONE, PARTIAL
from backstop.cli.output import human_bytes, print_fields, print_json, say
from backstop.cli.session import Session
from backstop.cli.terminal import progress_bar
from backstop.commands.bookkeeping import enter_backup
from backstop.commands.database.dump import back_up_database as run
from backstop.model.access import AccessRole
from backstop.model.backup import BackupLabel
from backstop.settings.arguments import utc_now
from backstop.settings.database import dump_settings
from backstop.wiring import cluster_connection, open_inventory, open_keyring, open_repositories, open_signer

if TYPE_CHECKING:
    import argparse

    from backstop.commands.backup_report import BackupReport


def back_up_database(arguments: argparse.Namespace) -> int:
    session = Session(arguments, AccessRole.WRITER)
    named = session.configuration, session.target_name, session.credentials
    repositories = open_repositories(*named)
    settings = dump_settings(session.configuration, session.target_name, repositories)
    with progress_bar() as progress:
        report = run(
            target=session.target_name,
            source=cluster_connection(*named),
            repositories=repositories,
            keyring=open_keyring(*named),
            signer=open_signer(session.configuration, session.target_name, "manifest"),
            settings=replace(
                settings, new_cluster=arguments.new_cluster, new_database=arguments.new_database
            ),
            clock=utc_now,
            holder=session.holder,
            progress=progress,
        )
    holding = [one for one in repositories if report.repositories.get(one.name) == "completed"]
    inventory = open_inventory(session.configuration, session.credentials)
    delayed = enter_backup(inventory, holding, BackupLabel(report.label))
    for sentence in delayed:
        say(f"backstop: {sentence}")
    if arguments.json:
        print_json({**report.to_dict(), "complete": report.complete, "delayed": delayed})
    else:
        _print(report)
    return DONE if report.complete else PARTIAL


def _print(report: BackupReport) -> None:
    seconds = (report.finished_at - report.started_at).total_seconds()
    fields = [
        ("label", report.label),
        ("state", "completed; not proven until `verify` has restored it"),
        ("size", f"{human_bytes(report.plain_bytes)} in, {human_bytes(report.stored_bytes)} stored"),
        ("content", f"{report.tables} tables, {report.rows} rows"),
        ("took", f"{seconds:.1f} s, the snapshot held for {report.snapshot_seconds:.1f} s"),
    ]
    fields += [(f"in {name}", state) for name, state in report.repositories.items()]
    if report.yielded:
        fields.append(("yielded", f"{report.yielded} times to the application"))
    if report.not_included:
        fields.append(("without", "\n".join(report.not_included)))
    print_fields(fields)
