"""``sync-repositories``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.cli.exit_codes import DAMAGED, DONE, TRY_AGAIN
from backstop.cli.output import human_bytes, print_json, print_table, say
from backstop.cli.session import Session
from backstop.cli.terminal import progress_bar
from backstop.commands.sync.sync import sync_repositories
from backstop.model.access import AccessRole
from backstop.settings.arguments import utc_now
from backstop.settings.sync import sync_settings
from backstop.wiring import cheapest_first, open_every_repository, open_inventory, open_signer

if TYPE_CHECKING:
    import argparse

    from backstop.commands.sync.report import RepositorySync, SyncReport


def sync(arguments: argparse.Namespace) -> int:
    """Ends with 5 when time alone may heal what is missing, with 4 when somebody must look."""
    session = Session(arguments, AccessRole.SYNC)
    configuration, target = session.configuration, session.target_name
    opened = open_every_repository(configuration, target, session.credentials)
    order = cheapest_first(configuration, target)
    repositories = sorted(opened, key=lambda one: order.index(one.name))
    with progress_bar() as progress:
        report = sync_repositories(
            target=target,
            repositories=repositories,
            signer=open_signer(configuration, target, "manifest"),
            settings=sync_settings(configuration, target, opened),
            clock=utc_now,
            holder=session.holder,
            progress=progress,
            inventory=open_inventory(configuration, session.credentials),
            sources=arguments.sources,
            destinations=arguments.destinations,
            dry_run=arguments.dry_run,
        )
    _print(report, as_json=arguments.json)
    if report.complete:
        return DONE
    return TRY_AGAIN if report.retryable else DAMAGED


def _print(report: SyncReport, *, as_json: bool) -> None:
    for note in report.notes:
        say(f"backstop: {note}")
    for one in report.repositories:
        for note in one.notes:
            say(f"backstop: {one.name}: {note}")
    for sentence in report.sentences():
        say(f"backstop: {sentence}")
    if as_json:
        print_json(report.to_dict())
        return
    print_table(
        ["REPOSITORY", "COPIED", "OBJECTS", "WAL", "BYTES", "RATE", "IN STEP"],
        [_row(one, dry_run=report.dry_run) for one in report.repositories],
        right=(1, 2, 3, 4, 5),
    )
    for one in report.repositories:
        for label in one.copied:
            print(f"{one.name}: {label}")


def _row(one: RepositorySync, *, dry_run: bool) -> list[str]:
    state = "yes" if one.complete else "no"
    if dry_run and one.complete and (one.copied or one.wal_objects or one.holds):
        state = "not yet"
    return [
        one.name,
        str(len(one.copied)),
        "-" if dry_run else str(one.objects + one.recognised),
        str(one.wal_objects),
        human_bytes(one.stored_bytes),
        "-" if dry_run or not one.stored_bytes else f"{human_bytes(round(one.bytes_per_second))}/s",
        state,
    ]
