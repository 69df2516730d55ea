"""Flags of ``recover-from-disaster``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.cli.arguments import escrow_key, target, verb

if TYPE_CHECKING:
    import argparse


def add_disaster_verb(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = (
        "Bring a target back after a disaster: declare, assess, choose, recover, validate, record. "
        "Without --declare, --status, --options, --choose, --run or --close: all of it, with one question."
    )
    parser = verb(verbs, "recover-from-disaster", "disaster:recover_from_disaster", text)
    target(parser)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument(
        "--declare",
        metavar="WHAT",
        help="say in a few words what is lost; the clock runs from now",
    )
    mode.add_argument("--status", action="store_true", help="how it stands, and the clock against the RTO")
    mode.add_argument(
        "--options",
        action="store_true",
        help="look: what is damaged, and which ways back there are",
    )
    mode.add_argument("--choose", metavar="OPTION", help="settle on one: newest, last-proven, before, …")
    mode.add_argument(
        "--run", dest="carry_on", action="store_true", help="do what is left of it, with what was chosen"
    )
    mode.add_argument(
        "--close",
        nargs="?",
        const="",
        metavar="OUTCOME",
        help="end it with these words, whatever is left to do",
    )
    parser.add_argument("--incident", metavar="ID", help="which incident (default: the one that is open)")
    said = parser.add_argument_group("what happened; with --declare or without a mode")
    said.add_argument(
        "--noticed-at", metavar="TIME", help="when it was noticed: the clock runs from then, and says so"
    )
    said.add_argument(
        "--before",
        metavar="TIME",
        help="just before a mistake or an attack: what was written later must not come back (also --options)",
    )
    said.add_argument(
        "--component",
        dest="components",
        action="append",
        default=[],
        metavar="NAME",
        help="lost, however it looks: database, tree:<name> (also --options); with --choose: to come back",
    )
    steps = parser.add_argument_group("steps; with --run or without a mode")
    steps.add_argument("--step", metavar="STEP", help="just this one")
    steps.add_argument("--from-step", metavar="STEP", help="this and all behind it, though they have passed")
    steps.add_argument(
        "--redo", action="append", default=[], metavar="STEP", help="do it again, or although it was left out"
    )
    steps.add_argument("--skip", action="append", default=[], metavar="STEP", help="leave it out")
    steps.add_argument("--because", metavar="WHY", default="", help="why; needed with --skip")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    escrow_key(parser)
