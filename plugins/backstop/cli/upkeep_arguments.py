"""Flags and help of the verbs that look after repositories, and of what tells how they are."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from backstop.cli.arguments import repository, target, verb

if TYPE_CHECKING:
    from datetime import timedelta


def add_upkeep_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add them all."""
    _check_objects(verbs)
    _orphans(verbs)
    _prepare_repository(verbs)
    _metrics(verbs)
    _watch_backups(verbs)


def _check_objects(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Read stored objects again, name what is damaged and which backups need it; heal it when asked."
    parser = verb(verbs, "check-objects", "check_objects:check_objects", text)
    target(parser)
    repository(parser, "--repository", "check only this repository (default: each)")
    parser.add_argument(
        "--share", type=_share, metavar="SHARE", help="which part: 5%%, 100%% (default: check.share)"
    )
    parser.add_argument(
        "--seed",
        type=_seed,
        metavar="N",
        help="draw this sample; else it goes on where the last check ended",
    )
    parser.add_argument("--restart", action="store_true", help="do not go on with a check that was killed")
    parser.add_argument(
        "--heal",
        action="store_true",
        help="replace what is damaged by good copies of other repositories",
    )


def _orphans(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "List what no backup names: failed attempts, left-overs, unfinished uploads; remove it when asked."
    parser = verb(verbs, "orphans", "orphans:orphans", text)
    target(parser)
    repository(parser, "--repository", "look into only this repository (default: each)")
    parser.add_argument(
        "--grace",
        type=_duration,
        metavar="DURATION",
        help="what is younger is left alone: 3d, 12h (default: check.orphans_after)",
    )
    parser.add_argument("--remove", action="store_true", help="remove what is listed as removable")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _prepare_repository(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Compare a repository's directory or bucket with what it should be; exit code 1 when they differ."
    parser = verb(verbs, "prepare-repository", "prepare_repository:prepare_repository", text)
    which = parser.add_mutually_exclusive_group()
    target(which, default="the only one of targets.yaml")
    repository(which, "--repository", "one repository of targets.yaml, whoever uses it")
    parser.add_argument("--apply", action="store_true", help="mend what differs")


def _metrics(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Print what the newest watch saw, as Prometheus reads it; from the inventory alone."
    parser = verb(verbs, "metrics", "metrics:metrics", text)
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="replace this file instead, whole, for node_exporter's textfile collector",
    )


def _watch_backups(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Look at everything now, and say what is wrong, the most serious first; exit code 4 when critical."
    target(verb(verbs, "watch-backups", "watch_backups:watch_backups", text), default="all of targets.yaml")


def _seed(text: str) -> int:
    # 0 is what checks without one have: they form a row.
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("expected a number from 1 on")
    return int(text)


def _share(text: str) -> float:
    from backstop.targets.shares import parse_share

    try:
        return parse_share(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _duration(text: str) -> timedelta:
    from backstop.targets.durations import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
