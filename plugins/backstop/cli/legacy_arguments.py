"""Flags and help of the verbs about backups that scripts made before Backstop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from backstop.cli.arguments import repository, target, verb

if TYPE_CHECKING:
    import argparse

_FROM = "only those whose place this repository's backups take"


def add_legacy_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add them all."""
    _list(verbs)
    _verify(verbs)
    _restore(verbs)
    _expire(verbs)


def _list(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "List the backups that scripts made before Backstop, newest first, and whether each is proven."
    parser = verb(verbs, "legacy-backups", "legacy:legacy_backups", text)
    target(parser)
    repository(parser, "--from", _FROM)


def _verify(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Restore such backups into scratch, ask verify.queries, record the proofs."
    parser = verb(verbs, "verify-legacy", "legacy:verify_legacy", text)
    target(parser)
    parser.add_argument("--backup", metavar="NAME", help="name of its file (default: all that are unproven)")
    parser.add_argument("--newest", type=int, metavar="N", help="only the newest so many of those")
    repository(parser, "--from", _FROM)


def _restore(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Restore such a backup: a dump into a new database beside the live one, files into a new folder."
    parser = verb(verbs, "restore-legacy", "restore_legacy:restore_legacy", text)
    target(parser)
    parser.add_argument("--backup", metavar="NAME", required=True, help="name of its file")
    repository(parser, "--from", _FROM)
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--into-database", metavar="NAME", help="new database (default: <database>_restored_<time>)"
    )
    where.add_argument("--into", type=Path, metavar="DIRECTORY", help="new folder, of an archive")
    where.add_argument(
        "--swap", action="store_true", help="then put the new database in the live one's place; that is kept"
    )
    parser.add_argument("--dry-run", action="store_true", help="read it to its end, change nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _expire(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Remove those that retention lets go, one for each new backup that was proven."
    parser = verb(verbs, "expire-legacy", "legacy:expire_legacy", text)
    target(parser)
    repository(parser, "--from", _FROM)
    parser.add_argument("--dry-run", action="store_true", help="print what would go, and why the rest stays")
    parser.add_argument("--yes", action="store_true", help="do not ask")
