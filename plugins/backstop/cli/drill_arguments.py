"""Flags and help of the verbs about rehearsed disasters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.cli.arguments import target, verb

if TYPE_CHECKING:
    import argparse


def add_drill_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add them all."""
    _run_drill(verbs)
    _sign_off_drill(verbs)


def _who(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--who", help="in whose name (default: this machine's user)")


def _run_drill(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = (
        "Rehearse a disaster: restore everything elsewhere as if it were lost, check it, measure it, take it "
        "down again. Nothing live is touched. Exit code 1 when an objective was missed, 4 when something did "
        "not come back as it should."
    )
    parser = verb(verbs, "run-drill", "drill:run_drill", text)
    target(parser)
    parser.add_argument(
        "--scenario",
        help="what is lost: all, database, tree:<name>, repository:<name>, ransomware, airflow "
        "(default: drill.scenario of targets.yaml)",
    )
    parser.add_argument("--seed", help="draw the same moment again (default: a new one)")
    parser.add_argument(
        "--moment",
        metavar="TIME",
        help="when it happens, with its zone, 2026-11-23T12:00:00Z (default: drawn by the seed)",
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--dry-run", action="store_true", help="print the plan, restore nothing")
    how.add_argument(
        "--tear-down", action="store_true", help="only remove what killed drills of the target have left"
    )
    _who(parser)


def _sign_off_drill(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "Close a drill: say that it was accepted or must be done again. Kept with the evidence."
    parser = verb(verbs, "sign-off-drill", "drill:sign_off_drill", text)
    target(parser)
    parser.add_argument("--drill", required=True, metavar="ID", help="drill-20261126T190000Z-1f3a")
    said = parser.add_mutually_exclusive_group(required=True)
    said.add_argument(
        "--accepted", action="store_true", help="it shows what it should, or what it shows is dealt with"
    )
    said.add_argument("--redo", action="store_true", help="it must be done again")
    parser.add_argument("--remarks", default="", help="what should be known of it later")
    _who(parser)
