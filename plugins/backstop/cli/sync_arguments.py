"""The flags of ``sync-repositories``. Loads nothing but argparse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.cli.arguments import target, verb

if TYPE_CHECKING:
    import argparse


def add_sync_verb(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Copy what one repository has and another should have; nothing is read from the database."
    parser = verb(verbs, "sync-repositories", "sync:sync", text)
    target(parser)
    parser.add_argument(
        "--from",
        dest="sources",
        action="append",
        metavar="NAME",
        help="copy from this repository; may be repeated (default: from all of them)",
    )
    parser.add_argument(
        "--to",
        dest="destinations",
        action="append",
        metavar="NAME",
        help="copy into this repository; may be repeated (default: into all of them)",
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would be copied, write nothing")
