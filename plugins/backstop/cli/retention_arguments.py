"""Flags and help of the verbs about what is kept: holds, expiry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.cli.arguments import LABEL_HELP, repository, target, verb

if TYPE_CHECKING:
    import argparse


def add_retention_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add them all."""
    _hold(verbs)
    _release_hold(verbs)
    _holds(verbs)
    _expire(verbs)


def _who(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--who", help="in whose name (default: this machine's user)")


def _hold(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Keep a backup from expiring, in every repository that has it."
    parser = verb(verbs, "hold", "holds:hold", text)
    target(parser)
    parser.add_argument("--label", required=True, help=LABEL_HELP)
    parser.add_argument("--reason", required=True, help="why, in words; shown with the backup")
    parser.add_argument(
        "--until",
        metavar="TIME",
        help="a time with its zone, 2027-01-31T00:00:00Z (default: until it is released)",
    )
    _who(parser)


def _release_hold(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Let a backup that was held expire again; needs the key that signs proofs."
    parser = verb(verbs, "release-hold", "holds:release_hold", text)
    target(parser)
    parser.add_argument("--label", required=True, help="backup label such as 20261123T010000Z-dump")
    parser.add_argument(
        "--number", type=int, metavar="N", help="which, as `holds` shows it (default: the only one in force)"
    )
    repository(parser, "--repository", "release it in this repository alone")
    _who(parser)


def _holds(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = verb(verbs, "holds", "holds:list_holds", "List backups that are held, by whom and why.")
    target(parser, default="all")
    parser.add_argument("--all", action="store_true", help="those that are over or released too")


def _expire(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Show what retention keeps and lets go, then remove what may go; never what cannot be replaced."
    parser = verb(verbs, "expire", "expire:expire", text)
    target(parser)
    repository(parser, "--repository", "only in this repository (default: in each)")
    parser.add_argument("--dry-run", action="store_true", help="print the plan, remove nothing")
    parser.add_argument(
        "--accept",
        action="append",
        default=[],
        metavar="LABEL",
        help="this backup's drop in rows or files is meant; needs the key that signs proofs; may be repeated",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    _who(parser)
