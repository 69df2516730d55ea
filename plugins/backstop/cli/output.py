"""What verbs print: tables and JSON on stdout, everything said in passing on stderr."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from backstop.model.canonical import format_time
from backstop.model.figures import exact_time, size_in_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


def print_json(document: Any) -> None:
    """One JSON document; times as in the repository format."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, default=_plain) + "\n")


def say(sentence: str) -> None:
    """Something worth knowing that is not the result."""
    sys.stderr.write(f"{sentence}\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> None:
    """Aligned columns, never cut, two spaces apart: to be read, and to be cut and pasted.

    :param right: positions of columns to align right.
    """
    cells = [list(columns), *map(list, rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(columns))]
    for row in cells:
        line = "  ".join(
            text.rjust(width) if index in right else text.ljust(width)
            for index, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        sys.stdout.write(line.rstrip() + "\n")


def print_fields(fields: Sequence[tuple[str, str]]) -> None:
    """``name  value`` lines; further lines of a value are indented to match."""
    width = max(len(name) for name, _ in fields)
    for name, value in fields:
        first, *rest = value.splitlines() or [""]
        sys.stdout.write(f"{name:<{width}}  {first}\n".rstrip() + "\n")
        for line in rest:
            sys.stdout.write(f"{'':<{width}}  {line}\n")


def human_bytes(count: int) -> str:
    """``1.2 GB``."""
    return size_in_words(count)


def human_time(moment: datetime) -> str:
    """``2026-11-23 01:00:42Z``."""
    return exact_time(moment)


def human_server(version: int) -> str:
    """``18.4`` from 180004."""
    return f"{version // 10000}.{version % 10000}"


def _plain(value: Any) -> Any:
    from datetime import datetime

    if isinstance(value, datetime):
        return format_time(value)
    raise TypeError(f"{type(value).__name__} is not for JSON")
