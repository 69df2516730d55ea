"""Words that several findings use."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAMED = 3


def named(labels: Sequence[object]) -> str:
    """The newest few of them, and how many there are."""
    newest = [str(label) for label in sorted(map(str, labels), reverse=True)]
    shown = ", ".join(newest[:_NAMED])
    return shown if len(newest) <= _NAMED else f"{len(newest)} backups ({shown}, …)"


def in_words(kind: str) -> str:
    """``dump`` is a word; ``tree:media`` becomes ``tree media``."""
    return {"dump": "dump", "base": "base backup"}.get(kind, kind.replace(":", " "))
