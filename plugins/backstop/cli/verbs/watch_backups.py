"""``watch-backups``: what the watch of every five minutes looks at, now, for whoever asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.cli.exit_codes import DAMAGED, DONE
from backstop.cli.output import print_json, say
from backstop.cli.session import chosen_target
from backstop.commands.watch.configuration import judge_configuration
from backstop.commands.watch.observe import observe_target, unobservable
from backstop.commands.watch.part import Part
from backstop.commands.watch.undescribed import look_at_undescribed
from backstop.credentials import default_credentials
from backstop.errors import BackstopError
from backstop.model.access import AccessRole
from backstop.model.finding import Level
from backstop.settings.arguments import utc_now
from backstop.settings.watch import RHYTHM, WatchedTargets
from backstop.targets import load_targets
from backstop.wiring import open_inventory

if TYPE_CHECKING:
    import argparse

    from backstop.commands.watch.observe import Observed
    from backstop.model.finding import Finding
    from backstop.repository.inventory import Inventory


def watch_backups(arguments: argparse.Namespace) -> int:
    """Ends with 4 when something critical was found. Findings are told to nobody and kept nowhere."""
    configuration = load_targets(arguments.targets)
    credentials = default_credentials(AccessRole.AUDITOR)
    names = [chosen_target(configuration, arguments.target)] if arguments.target else []
    targets = WatchedTargets(configuration, credentials)
    inventory = open_inventory(configuration, credentials)
    found = [_observe(targets, name, inventory) for name in names or sorted(configuration.targets)]
    broken = [] if names else list(judge_configuration(configuration.broken))
    left = Part() if names else look_at_undescribed(targets.tops(configuration.targets))
    for sentence in left.unseen:
        say(f"backstop: not looked at: {sentence}")
    for one in found:
        for sentence in one.observation.unseen:
            say(f"backstop: {one.observation.target}: not looked at: {sentence}")
    if arguments.json:
        print_json(
            {
                "targets": [_document(one) for one in found],
                "configuration": [{"target": one.target, **_finding(one)} for one in broken],
                "repositories": [_finding(one) for one in left.findings],
            }
        )
    else:
        _print(found, [*broken, *left.findings])
    worst = max(
        (one.level for one in (*broken, *(each for seen in found for each in seen.findings))), default=None
    )
    return DAMAGED if worst is Level.CRITICAL else DONE


def _observe(targets: WatchedTargets, name: str, inventory: Inventory | None) -> Observed:
    try:
        target = targets.open(name)
    except BackstopError as error:
        return unobservable(name, error, now=utc_now())
    return observe_target(target, inventory=inventory, clock=utc_now, rhythm=RHYTHM, thorough=True)


def _print(found: list[Observed], broken: list[Finding]) -> None:
    findings = sorted(
        (*broken, *(finding for one in found for finding in one.findings)),
        key=lambda finding: (finding.level is not Level.CRITICAL, finding.key),
    )
    for finding in findings:
        print(finding)
    for one in found:
        if not one.findings:
            print(f"in order: {one.observation.target}")


def _document(observed: Observed) -> dict[str, Any]:
    seen = observed.observation
    return {
        "target": seen.target,
        "observed_at": seen.observed_at,
        "took_seconds": seen.took_seconds,
        "findings": [_finding(finding) for finding in observed.findings],
        "unseen": list(seen.unseen),
    }


def _finding(finding: Finding) -> dict[str, str]:
    return {
        "check": finding.check,
        "subject": finding.subject,
        "level": finding.level.value,
        "sentence": finding.sentence,
        "next_step": finding.next_step,
        "documentation": finding.anchor,
    }
