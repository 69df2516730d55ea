"""Remembers, in the folder for scratch, where restores have made their folders: a kill leaves them there."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_PREFIX = "restore-places-"


def remember(scratch: Path, token: str, places: Iterable[str]) -> None:
    """Before the first of them is made."""
    (scratch / f"{_PREFIX}{token}.json").write_text(json.dumps(list(places)))


def forget(scratch: Path, token: str) -> None:
    """None of them is left."""
    (scratch / f"{_PREFIX}{token}.json").unlink(missing_ok=True)


def remembered(scratch: Path) -> Iterator[tuple[str, list[str]]]:
    """Tokens and places of restores that have not ended."""
    for path in sorted(scratch.glob(f"{_PREFIX}*.json")):
        with suppress(ValueError, OSError):
            yield path.name.removeprefix(_PREFIX).removesuffix(".json"), list(json.loads(path.read_text()))
