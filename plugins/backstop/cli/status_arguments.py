"""Flags and help of ``status``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.cli.arguments import target, verb

if TYPE_CHECKING:
    import argparse


def add_status_verb(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add it."""
    text = (
        "Say what could be restored right now, as the newest watch saw it; exit code 1 unless "
        "everything could be and is proven."
    )
    target(verb(verbs, "status", "status:status", text), default="all, in a table")
