"""Flags and help of the verbs about file trees."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from backstop.cli.arguments import escrow_key, repository, target, verb

if TYPE_CHECKING:
    import argparse

_TREE_LABEL = "backup label such as 20261123T020000Z-tree-media, 'latest', or 'latest-proven'"


def add_file_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add them all."""
    _back_up_files(verbs)
    _watch_files(verbs)
    _restore_files(verbs)
    _diff_files(verbs)
    _file_history(verbs)
    _check_files(verbs)


def _tree(parser: argparse.ArgumentParser) -> None:
    target(parser)
    parser.add_argument("--tree", metavar="NAME", help="file tree (default: the target's only one)")


def _read_from(parser: argparse.ArgumentParser) -> None:
    repository(
        parser, "--from", "repository to read (default: the first that answers, directories before S3)"
    )
    escrow_key(parser)


def _back_up_files(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Back a file tree up to every repository, from one read; only new content is stored."
    _tree(verb(verbs, "back-up-files", "files:back_up_files", text))


def _watch_files(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Back a file tree up whenever something in it has changed, until terminated."
    parser = verb(verbs, "watch-files", "watch_files:watch_files", text)
    _tree(parser)
    parser.add_argument(
        "command",
        nargs="*",
        metavar="COMMAND",
        help="run this (after --) instead of backing up; what has changed is its standard input, as JSON",
    )


def _restore_files(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Restore files beside the live ones, compare each, then swap; the former ones are kept."
    parser = verb(verbs, "restore-files", "restore_files:restore_files", text)
    _tree(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--label", help=_TREE_LABEL)
    which.add_argument(
        "--at",
        metavar="TIME",
        help="the newest backup from before a time with its zone, 2026-11-23T12:00:00Z",
    )
    parser.add_argument(
        "--path",
        dest="paths",
        action="append",
        default=[],
        metavar="GLOB",
        help="only this, whole paths or globs of them, and what is below; may be repeated (default: all)",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--to", type=Path, metavar="DIRECTORY", help="into this new directory")
    where.add_argument("--in-place", action="store_true", help="in the place of the live files")
    where.add_argument(
        "--swap-back", action="store_true", help="put the files back that the last restore here has replaced"
    )
    parser.add_argument("--dry-run", action="store_true", help="print what would be added, changed, deleted")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    _read_from(parser)


def _diff_files(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Show what differs between two backups of a file tree."
    parser = verb(verbs, "diff-files", "compare_files:diff_files", text)
    _tree(parser)
    parser.add_argument(
        "--before", metavar="LABEL", help="the older one (default: the one before the newest)"
    )
    parser.add_argument("--after", metavar="LABEL", help="the newer one (default: the newest)")
    _read_from(parser)


def _file_history(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Show what became of one path, over all backups of its tree."
    parser = verb(verbs, "file-history", "compare_files:file_history", text)
    _tree(parser)
    parser.add_argument("path", metavar="PATH", help="absolute path of a file or folder")
    _read_from(parser)


def _check_files(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Name the files that the database expects and a backup lacks; exit code 1 when there are any."
    parser = verb(verbs, "check-files", "compare_files:check_files", text)
    _tree(parser)
    parser.add_argument("--label", default="latest", help=f"{_TREE_LABEL} (default: latest)")
    _read_from(parser)
