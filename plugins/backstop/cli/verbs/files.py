"""``back-up-files``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.cli.exit_codes import DONE, PARTIAL
from backstop.cli.output import human_bytes, print_fields, print_json, say
from backstop.cli.terminal import progress_bar
from backstop.cli.trees import TreeSession
from backstop.commands.bookkeeping import enter_backup
from backstop.commands.trees.backup import back_up_files as run
from backstop.model.access import AccessRole
from backstop.model.backup import BackupLabel
from backstop.settings.arguments import utc_now
from backstop.settings.trees import tree_backup_settings
from backstop.wiring import open_inventory, open_keyring, open_signer, open_tree_repositories

if TYPE_CHECKING:
    import argparse

    from backstop.commands.backup_report import TreeBackupReport
    from backstop.commands.progress import Progress


def back_up_files(arguments: argparse.Namespace) -> int:
    session = TreeSession(arguments, AccessRole.WRITER)
    with progress_bar() as progress:
        report, delayed = back_up(session, progress)
    for sentence in delayed:
        say(f"backstop: {sentence}")
    if arguments.json:
        print_json({**report.to_dict(), "complete": report.complete, "delayed": delayed})
    else:
        _print(report)
    return DONE if report.complete else PARTIAL


def back_up(session: TreeSession, progress: Progress) -> tuple[TreeBackupReport, list[str]]:
    """Back the session's tree up; the sentences say what the inventory has not been told."""
    target, tree = session.target_name, session.tree.name
    repositories = open_tree_repositories(session.configuration, target, tree, session.credentials)
    report = run(
        target=target,
        tree=tree,
        repositories=repositories,
        keyring=open_keyring(session.configuration, target, session.credentials),
        signer=open_signer(session.configuration, target, "manifest"),
        settings=tree_backup_settings(session.configuration, target, tree, repositories),
        clock=utc_now,
        holder=session.holder,
        progress=progress,
    )
    holding = [one for one in repositories if report.repositories.get(one.name) == "completed"]
    inventory = open_inventory(session.configuration, session.credentials)
    return report, enter_backup(inventory, holding, BackupLabel(report.label))


def _print(report: TreeBackupReport) -> None:
    seconds = (report.finished_at - report.started_at).total_seconds()
    changed = f"{report.new_files} new, {report.changed_files} changed, {report.removed_files} removed"
    fields = [
        ("label", report.label),
        ("state", "completed; not proven until `verify` has restored it"),
        ("content", f"{report.files} files: {changed}"),
        ("size", f"{human_bytes(report.plain_bytes)} new, {human_bytes(report.stored_bytes)} stored"),
        ("took", f"{seconds:.1f} s"),
    ]
    fields += [(f"in {name}", state) for name, state in report.repositories.items()]
    fields += [("changed", "\n".join(report.changes))] if report.changes else []
    fields += [("while read", "\n".join(report.skewed))] if report.skewed else []
    fields += [("warning", sentence) for sentence in report.warnings]
    fields += [("without", "\n".join(report.not_included))] if report.not_included else []
    print_fields(fields)
