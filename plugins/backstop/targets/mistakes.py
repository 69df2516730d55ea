"""A mistake in targets.yaml: where it is, what was expected."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Path = tuple[str | int, ...]
"""Keys and list positions from the top of the document."""


@dataclass(frozen=True, order=True, slots=True)
class Position:
    """Line and column, counted from 1.

    :param file: empty: the one file that is read. Of several, the one in which it is.
    """

    line: int
    column: int
    file: str = ""


@dataclass(frozen=True, order=True, slots=True)
class Mistake:
    """One thing to change in the file.

    :param where: the key as people write it, ``targets.calibrify.database.jobs``; empty for the file.
    :param what: a sentence that says what was expected; never repeats a secret.
    """

    position: Position
    where: str
    what: str

    def __str__(self) -> str:
        subject = f"{self.where}: " if self.where else ""
        return f"line {self.position.line}, column {self.position.column}: {subject}{self.what}"


def dotted(path: Iterable[str | int]) -> str:
    """``targets.calibrify.database.repositories[1]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """``; did you mean 'retention'?``, or what there is to choose from."""
    candidates = sorted(known)
    close = difflib.get_close_matches(found, candidates, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(candidates)}" if candidates else ""
