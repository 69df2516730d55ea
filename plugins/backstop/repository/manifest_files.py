"""Files of a catalogue before they are believed: their names, and JSON that may be damaged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from backstop.errors import IntegrityError
from backstop.model.backup import BackupLabel

if TYPE_CHECKING:
    from collections.abc import Callable


def json_object(body: bytes, key: str) -> dict[str, Any]:
    """:raises IntegrityError: it is none."""
    try:
        document = json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(
            f"{key} is not JSON ({len(body)} bytes)",
            hint="it was damaged; use the copy in the other repository",
        ) from error
    if not isinstance(document, dict):
        raise IntegrityError(f"{key} is not a JSON object", hint="use the copy in the other repository")
    return document


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def is_wanted(name: str, wanted: Callable[[BackupLabel], bool]) -> bool:
    """A name that is no label is always wanted: it must be shown."""
    text = name.removesuffix(".json")
    return wanted(BackupLabel(text)) if BackupLabel.is_one(text) else True


def label_of(name: str, location: str) -> BackupLabel:
    """:raises IntegrityError: no manifest has such a name."""
    try:
        return BackupLabel(name.removesuffix(".json"))
    except ValueError as error:
        raise IntegrityError(
            f"{location} has a manifest with the odd name {name!r}",
            hint="nothing Backstop wrote; remove it by hand",
        ) from error
