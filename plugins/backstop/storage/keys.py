"""Which keys a storage accepts: the same everywhere, so that a backup can be copied between any two."""

from __future__ import annotations

import re

from backstop.errors import StorageError

DESCRIPTION = "repository.json"
"""Says what repository this is (docs/format.md); whoever may see anything there may see it."""
_MAX_KEY_BYTES = 1024  # S3's limit
_MAX_PART_BYTES = 255  # NAME_MAX of Linux file systems
_PARTS = "keys are parts joined by '/', none empty or beginning with '.', at most 1024 bytes in all"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_key(key: str) -> str:
    """The key itself, when every storage can hold it.

    Parts that begin with a dot belong to the storages themselves (temporary files, staging): no key has one.

    :raises StorageError: absolute, empty parts, ``.``, ``..``, dot names, control characters, or too long.
    """
    parts = key.split("/")
    if any(not part or part.startswith(".") for part in parts) or not _is_storable(key, parts):
        raise StorageError(
            f"{key!r} is not an object key",
            hint=_PARTS,
        )
    return key


def check_prefix(prefix: str) -> str:
    """The prefix itself, when keys can begin with it; it may end within a part, after ``/``, or be empty."""
    parts = prefix.split("/")
    if any(not part for part in parts[:-1]) or any(part.startswith(".") for part in parts):
        raise StorageError(f"{prefix!r} is not the beginning of an object key", hint=_PARTS)
    if not _is_storable(prefix, parts):
        raise StorageError(f"{prefix!r} is not the beginning of an object key", hint=_PARTS)
    return prefix


def _is_storable(text: str, parts: list[str]) -> bool:
    try:
        fits = len(text.encode()) <= _MAX_KEY_BYTES
        return fits and not _CONTROL.search(text) and all(len(p.encode()) <= _MAX_PART_BYTES for p in parts)
    except UnicodeEncodeError:  # a lone surrogate: a file name that is not UTF-8
        return False
