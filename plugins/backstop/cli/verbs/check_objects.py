"""``check-objects``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.cli.exit_codes import DAMAGED, DONE
from backstop.cli.output import human_bytes, print_json, print_table, say
from backstop.cli.session import Session
from backstop.cli.terminal import progress_bar
from backstop.commands.check.check import check_objects as check
from backstop.errors import BackstopError
from backstop.model.access import AccessRole
from backstop.settings.arguments import utc_now
from backstop.settings.check import check_settings, keyring_if_any, proof_signer_if_any
from backstop.wiring import open_every_repository, open_inventory, open_repositories

if TYPE_CHECKING:
    import argparse

    from backstop.commands.check.report import CheckReport


def check_objects(arguments: argparse.Namespace) -> int:
    """One repository after the other; one that does not answer keeps no other from being checked."""
    session = Session(arguments, AccessRole.HEALER if arguments.heal else AccessRole.VERIFIER)
    named = session.configuration, session.target_name, session.credentials
    every = open_every_repository(*named)
    if arguments.repository is not None:
        session.repository(arguments.repository)  # says which there are
    settings = check_settings(
        session.configuration,
        session.target_name,
        open_repositories(*named),
        share=arguments.share,
        seed=arguments.seed,
        restart=arguments.restart,
        heal=arguments.heal,
    )
    keyring = keyring_if_any(*named)
    signer = proof_signer_if_any(session.configuration, session.target_name)
    inventory = open_inventory(session.configuration, session.credentials)
    reports: list[CheckReport] = []
    failures: list[tuple[str, BackstopError]] = []
    for repository in every:
        if arguments.repository not in (None, repository.name):
            continue
        try:
            with progress_bar() as progress:
                reports.append(
                    check(
                        repository=repository,
                        others=[other for other in every if other.name != repository.name],
                        keyring=keyring,
                        signer=signer,
                        settings=settings,
                        clock=utc_now,
                        holder=session.holder,
                        progress=progress,
                        inventory=inventory,
                    )
                )
        except BackstopError as error:
            failures.append((repository.name, error))
            say(f"backstop: {repository.name} could not be checked: {error}")
    _print(reports, failures, as_json=arguments.json)
    if failures and not reports:
        raise failures[0][1]
    if any(report.bad for report in reports):
        return DAMAGED
    return failures[0][1].exit_code if failures else DONE


def _print(reports: list[CheckReport], failures: list[tuple[str, BackstopError]], *, as_json: bool) -> None:
    if as_json:
        if reports:
            print_json(
                {
                    "checks": [report.to_dict() for report in reports],
                    "not_checked": [{"repository": name, "error": str(error)} for name, error in failures],
                }
            )
        return
    for report in reports:
        for sentence in report.sentences():
            print(f"{report.repository}: {sentence}")
    if reports:
        columns = ["REPOSITORY", "OBJECTS", "BYTES", "MB/S", "DAMAGED", "HEALED", "NOT JUDGED"]
        print_table(columns, [_row(report) for report in reports], right=(1, 2, 3, 4, 5, 6))


def _row(report: CheckReport) -> list[str]:
    return [
        report.repository,
        str(report.objects),
        human_bytes(report.stored_bytes),
        f"{report.bytes_per_second / 1e6:.0f}",
        str(len(report.damaged) + len(report.unreadable)),
        str(sum(one.healed for one in report.damaged)),
        str(report.unjudged),
    ]
