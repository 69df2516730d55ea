"""``take-base-backup``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from backstop.cli.exit_codes import DONE, PARTIAL
from backstop.cli.output import human_bytes, print_fields, print_json, say
from backstop.cli.session import Session
from backstop.cli.terminal import progress_bar
from backstop.commands.backup_report import COPIED_IN_WORDS
from backstop.commands.base.backup import take_base_backup as run
from backstop.commands.bookkeeping import enter_backup
from backstop.commands.wal.holds import WalHeld
from backstop.model.access import AccessRole
from backstop.model.backup import BackupKind, BackupLabel
from backstop.settings.arguments import utc_now
from backstop.settings.cluster import base_backup_settings, kind_of_base_backup
from backstop.wiring import (
    open_inventory,
    open_keyring,
    open_repositories,
    open_signer,
    replication_connection,
)

if TYPE_CHECKING:
    import argparse

    from backstop.commands.backup_report import BaseBackupReport


def take_base_backup(arguments: argparse.Namespace) -> int:
    session = Session(arguments, AccessRole.WRITER)
    named = session.configuration, session.target_name, session.credentials
    cluster = replication_connection(*named)
    repositories = open_repositories(*named)
    if arguments.kind:
        kind = BackupKind(arguments.kind)
    else:
        kind, why = kind_of_base_backup(
            session.configuration, session.target_name, repositories, now=utc_now()
        )
        say(f"backstop: a base backup of kind {kind.value}: {why}")
    settings = base_backup_settings(session.configuration, session.target_name, repositories)
    if arguments.over_network:
        settings = replace(settings, file_copy=None)
    with progress_bar() as progress:
        report = run(
            target=session.target_name,
            cluster=cluster,
            repositories=repositories,
            keyring=open_keyring(*named),
            signer=open_signer(session.configuration, session.target_name, "manifest"),
            settings=replace(settings, allow_system_id=arguments.new_cluster),
            kind=kind,
            clock=utc_now,
            holder=session.holder,
            progress=progress,
            wal_holds=WalHeld(session.target_name),
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


def _print(report: BaseBackupReport) -> None:
    seconds = (report.finished_at - report.started_at).total_seconds()
    fields = [
        ("label", report.label),
        ("state", "completed; not proven until `verify` has recovered it"),
        ("builds on", report.parent or "nothing"),
        ("size", f"{human_bytes(report.plain_bytes)} in, {human_bytes(report.stored_bytes)} stored"),
        ("content", f"{report.files} files, {report.tablespaces} further tablespaces"),
        ("cluster", f"{report.system_id}, timeline {report.timeline}"),
        ("WAL", f"{report.start_lsn} to {report.end_lsn}"),
        ("files", COPIED_IN_WORDS[report.copied]),
        ("took", f"{seconds:.1f} s, the copy {report.copy_seconds:.1f} s"),
    ]
    fields += [(f"in {name}", state) for name, state in report.repositories.items()]
    if report.not_included:
        fields.append(("without", "\n".join(report.not_included)))
    print_fields(fields)
