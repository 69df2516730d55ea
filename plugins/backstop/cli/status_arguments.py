"""Flags and help of ``status`` and ``decisions``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.cli.arguments import target, verb

if TYPE_CHECKING:
    import argparse


def add_status_verb(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add them."""
    text = (
        "Say what could be restored right now, as the newest watch saw it; exit code 1 unless "
        "everything could be and is proven."
    )
    target(verb(verbs, "status", "status:status", text), default="all, in a table")
    text = "List who asked for restores, expiries and recoveries, and who let them go on; the newest first."
    parser = verb(verbs, "decisions", "decisions:decisions", text)
    target(parser, default="all")
    parser.add_argument(
        "--limit", type=int, default=50, metavar="N", help="at most so many (default: %(default)s)"
    )
