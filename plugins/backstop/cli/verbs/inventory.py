"""``migrate-inventory`` and ``rebuild-inventory``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.cli.exit_codes import DAMAGED, DONE
from backstop.cli.output import print_json, print_table, say
from backstop.cli.session import chosen_target
from backstop.credentials import default_credentials
from backstop.errors import BackstopError, ConfigurationError
from backstop.model.access import AccessRole
from backstop.repository.drills import enter_evidence
from backstop.repository.evidence import evidence_of
from backstop.targets import load_targets
from backstop.wiring import open_every_repository, open_inventory

if TYPE_CHECKING:
    import argparse

    from backstop.credentials import CredentialSource
    from backstop.repository.inventory import IndexReport, Inventory
    from backstop.targets import Configuration


def migrate_inventory(arguments: argparse.Namespace) -> int:
    applied = _inventory(load_targets(arguments.targets), default_credentials(AccessRole.AUDITOR)).migrate()
    if arguments.json:
        print_json({"applied": applied})
    else:
        print(f"applied: {', '.join(applied)}" if applied else "up to date")
    return 0


def rebuild_inventory(arguments: argparse.Namespace) -> int:
    """A repository that does not answer is named, and the others are read; the exit code is its error's."""
    configuration = load_targets(arguments.targets)
    credentials = default_credentials(AccessRole.AUDITOR)
    inventory = _inventory(configuration, credentials)
    inventory.migrate()
    named = [chosen_target(configuration, arguments.target)] if arguments.target else []
    reports: list[tuple[str, IndexReport]] = []
    failures: list[BackstopError] = []
    malformed: list[str] = []
    for target in named or sorted(configuration.targets):
        for repository in open_every_repository(configuration, target, credentials):
            try:
                reports.append((target, inventory.index(repository)))
                # Drills and incidents are known again from what is signed of them.
                malformed += enter_evidence(inventory, evidence_of(repository).believed())
            except BackstopError as error:
                failures.append(error)
                say(f"backstop: {target} in {repository.name} was not read: {error}")
    for sentence in malformed:
        say(f"backstop: left out, {sentence}")
    _print(reports, as_json=arguments.json)
    if failures:
        return failures[0].exit_code
    return DAMAGED if malformed or any(report.unreadable for _, report in reports) else DONE


def _print(reports: list[tuple[str, IndexReport]], *, as_json: bool) -> None:
    for target, report in reports:
        for error in report.unreadable:
            say(f"backstop: not to be trusted, {target} in {report.repository}: {error}")
    if as_json:
        print_json(
            [
                {
                    "target": target,
                    "repository": report.repository,
                    "backups": report.backups,
                    "proofs": report.proofs,
                    "holds": report.holds,
                    "missing_holds": list(report.missing_holds),
                    "missing": list(report.missing),
                    "expired": list(report.expired),
                    "unreadable": [str(error) for error in report.unreadable],
                }
                for target, report in reports
            ]
        )
        return
    rows = [
        [
            target,
            report.repository,
            str(report.backups),
            str(report.proofs),
            str(report.holds),
            ", ".join((*report.missing, *report.missing_holds)) or "-",
        ]
        for target, report in reports
    ]
    print_table(["TARGET", "REPOSITORY", "BACKUPS", "PROOFS", "HOLDS", "MISSING"], rows, right=(2, 3, 4))


def _inventory(configuration: Configuration, credentials: CredentialSource) -> Inventory:
    inventory = open_inventory(configuration, credentials)
    if inventory is None:
        raise ConfigurationError(
            "targets.yaml names no inventory", hint="add inventory: {conn_id: …} with its owner's connection"
        )
    return inventory
