"""``prepare-repository``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.cli.exit_codes import DIFFERENT, DONE
from backstop.cli.output import print_json
from backstop.cli.session import chosen_target
from backstop.commands.prepare.preparation import Preparation
from backstop.commands.prepare.preparation import prepare_repository as prepare
from backstop.credentials import default_credentials
from backstop.model.access import AccessRole
from backstop.settings.check import preparation_steps
from backstop.targets import load_targets
from backstop.wiring import every_repository

if TYPE_CHECKING:
    import argparse


def prepare_repository(arguments: argparse.Namespace) -> int:
    """Exit code 1 when something is otherwise than it should be."""
    configuration = load_targets(arguments.targets)
    names = (
        [arguments.repository]
        if arguments.repository
        else every_repository(configuration, chosen_target(configuration, arguments.target))
    )
    prepared: list[Preparation] = []
    for name in names:
        location, steps = preparation_steps(configuration, name, default_credentials(AccessRole.PREPARER))
        prepared.append(prepare(name, location, steps, apply=arguments.apply))
    if arguments.json:
        print_json([one.to_dict() for one in prepared])
    else:
        for one in prepared:
            _print(one)
    return DIFFERENT if any(one.differences for one in prepared) else DONE


def _print(prepared: Preparation) -> None:
    for difference in prepared.applied:
        print(f"{prepared.repository}: mended: {difference.what}: {difference.wanted}")
    for difference in prepared.differences:
        by_hand = "" if difference.ours else " — not changed by Backstop"
        print(f"{prepared.repository}: {difference.sentence()}{by_hand}")
    if not prepared.differences:
        print(f"{prepared.repository} ({prepared.location}) is as it should be")
