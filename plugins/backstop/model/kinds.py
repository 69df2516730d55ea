"""Kinds of values in signed documents: whoever took a signing key signs what they like with it.

What is of another kind than ours is refused where it is read: else one such document stops everybody who
adds up sizes, or enters them all into the inventory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

_MOST_BYTES = 2**46
_MOST = 2**31
_YEARS = range(1000, 9000)


def require_texts(values: Iterable[Any]) -> None:
    """:raises TypeError: one is no text, or has a character that no database takes."""
    for value in values:
        if not isinstance(value, str) or "\0" in value:
            raise TypeError(f"{value!r:.80} is no text")


def require_sizes(values: Iterable[Any]) -> None:
    """:raises TypeError: one is no number of bytes that an object may have."""
    for value in values:
        if type(value) is not int or not 0 <= value <= _MOST_BYTES:
            raise TypeError(f"{value!r:.80} is no number of bytes")


def require_counts(values: Iterable[Any]) -> None:
    """:raises TypeError: one is no whole number of 31 bits."""
    for value in values:
        if type(value) is not int or not 0 <= value < _MOST:
            raise TypeError(f"{value!r:.80} is no number")


def require_figures(values: Any) -> None:
    """:raises TypeError: it is no mapping of names to numbers or texts."""
    if not isinstance(values, Mapping):
        raise TypeError(f"{values!r:.80} is no mapping")
    require_texts(values)
    require_texts(value for value in values.values() if not isinstance(value, int | float | None))


def require_moments(values: Iterable[datetime]) -> None:
    """:raises ValueError: to one of them nothing can be added, or nothing taken from it."""
    for value in values:
        if value.year not in _YEARS:
            raise ValueError(f"{value} is no time of a backup")
