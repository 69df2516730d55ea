"""Words that others have written, made fit to be shown."""

from __future__ import annotations

import re

LONGEST = 1000
_ADDRESS = re.compile(r"\b([a-z][a-z0-9+.-]*://)(?:[^\s/@'\"]*@)?([^\s/?#'\"]*)[^\s'\"]*", re.IGNORECASE)
_PATH = re.compile(r"(\burl: )/[^\s'\"]*", re.IGNORECASE)


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


def what_failed(error: BaseException) -> str:
    """An error of somebody else's library, in one line that can be shown to everybody."""
    return one_line(f"{type(error).__name__}: {hosts_only(str(error))}")


def hosts_only(text: str) -> str:
    """The same with no more of an address than its host.

    What follows it, or stands before it, is how one gets into a webhook or reads a signed object.
    """
    return _PATH.sub(r"\1/…", _ADDRESS.sub(r"\1\2/…", text))
