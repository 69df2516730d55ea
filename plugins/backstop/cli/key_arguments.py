"""Flags and help of the verbs about keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.cli.arguments import escrow_key, target, verb

if TYPE_CHECKING:
    import argparse


def add_key_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add them all."""
    _show_keys(verbs)
    _check_keys(verbs)
    _rotate_keys(verbs)
    _reencrypt(verbs)


def _show_keys(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "List which key protects what, and what it alone opens."
    parser = verb(verbs, "show-keys", "keys:show_keys", text)
    _keys(parser)
    parser.add_argument("--wal", action="store_true", help="of WAL too: reads the head of every object")


def _check_keys(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Open the oldest and the newest of every kind in every repository, with what a restore has."
    parser = verb(verbs, "check-keys", "keys:check_keys", text)
    target(parser)
    escrow_key(parser)


def _rotate_keys(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Make a new key where one is due; have AWS KMS rotate by itself; remove a key that nothing needs."
    parser = verb(verbs, "rotate-keys", "keys:rotate_keys", text)
    _keys(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--now", action="store_true", help="whether it is due or not")
    what.add_argument(
        "--remove", metavar="ID", help="take an old key out of the ring; refused while anything needs it"
    )
    parser.add_argument(
        "--described",
        action="store_true",
        help="with --remove: look only where targets.yaml says; you vouch for targets that it names no more",
    )


def _reencrypt(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "After a compromise: encrypt everything that one key protects anew, beside what is there."
    parser = verb(verbs, "reencrypt", "reencrypt:reencrypt_backups", text)
    target(parser)
    parser.add_argument(
        "--key",
        required=True,
        metavar="ID",
        help="the key, as `show-keys` names it; it must not wrap any more",
    )
    parser.add_argument("--dry-run", action="store_true", help="print what it protects, write nothing")
    escrow_key(parser)


def _keys(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--keys", metavar="NAME", help="entry of `keys` (default: the only one of targets.yaml)"
    )
