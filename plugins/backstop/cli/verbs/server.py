"""``check-server``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from backstop.cli.exit_codes import DIFFERENT, DONE
from backstop.cli.output import print_json
from backstop.cli.session import Session
from backstop.model.access import AccessRole
from backstop.postgres.server_settings import backup_conf, read_wanted, server_drift
from backstop.wiring import cluster_connection

if TYPE_CHECKING:
    import argparse


def check_server(arguments: argparse.Namespace) -> int:
    session = Session(arguments, AccessRole.WRITER)
    file = arguments.conf or backup_conf()
    wanted = read_wanted(file)
    source = cluster_connection(session.configuration, session.target_name, session.credentials)
    with source.connect(application_name="backstop:check-server") as server:
        drift = server_drift(server, wanted)
    if arguments.json:
        document = {
            "target": session.target_name,
            "conf": str(file),
            "in_step": not drift,
            "drift": [one.to_dict() for one in drift],
        }
        print_json(document)
    else:
        for one in drift:
            sys.stdout.write(f"{one.sentence}\n")
        if not drift:
            sys.stdout.write(f"{source.location}: set as {file} says\n")
    return DIFFERENT if drift else DONE
