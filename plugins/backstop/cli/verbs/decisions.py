"""``decisions``: who asked for a restore, an expiry or a recovery, and who let it go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.cli.exit_codes import DONE
from backstop.cli.output import human_time, print_json, print_table
from backstop.credentials import default_credentials
from backstop.errors import ConfigurationError
from backstop.model.access import AccessRole
from backstop.repository.decisions import Decisions
from backstop.targets import load_targets
from backstop.wiring import find_target, inventory_connection

if TYPE_CHECKING:
    import argparse


def decisions(arguments: argparse.Namespace) -> int:
    configuration = load_targets(arguments.targets)
    target = find_target(configuration, arguments.target).name if arguments.target else None
    connection = inventory_connection(configuration, default_credentials(AccessRole.AUDITOR))
    if connection is None:
        raise ConfigurationError(
            "targets.yaml names no inventory, where decisions are kept",
            hint="add inventory: {conn_id: …}; until then, the logs of the `approve` tasks say it",
        )
    known = Decisions(connection).newest(target, limit=arguments.limit)
    if arguments.json:
        print_json({"decisions": [one.to_dict() for one in known]})
        return DONE
    print_table(
        ["DECIDED", "TARGET", "PROCEDURE", "ANSWER", "ASKED BY", "ANSWERED BY", "QUESTION"],
        [
            [
                human_time(one.decided_at),
                one.target,
                one.procedure,
                one.answer.value,
                one.asked_by or "-",
                one.answered_by or "-",
                one.question,
            ]
            for one in known
        ],
    )
    return DONE
