"""Words that others have written, made fit to be shown."""

from __future__ import annotations

LONGEST = 1000


def one_line(text: str, *, at_most: int = LONGEST) -> str:
    """The same without line breaks and what cannot be printed, and no longer than a message bears.

    A file's name may hold line breaks, bytes that are no text, and marks that turn the direction of reading.
    Mail refuses the first in a subject, a database the second, and people are misled by the third.
    """
    line = printable(" ".join(text.split()))
    return line if len(line) <= at_most else f"{line[: at_most - 2]} …"


def printable(text: str) -> str:
    """The same with a mark in place of whatever cannot be printed."""
    return text if text.isprintable() else "".join(one if one.isprintable() else "�" for one in text)
