"""Flags and help of ``status`` and ``decisions``."""

from __future__ import annotations

import argparse

from backstop.cli.arguments import target, verb

_MOST = 1_000_000


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
        "--limit", type=_count, default=50, metavar="N", help="at most so many (default: %(default)s)"
    )


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MOST:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to {_MOST}")
    return int(text)
