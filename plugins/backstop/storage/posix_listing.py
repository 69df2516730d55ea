"""Lists a directory's files as objects, in the order of their keys."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from backstop.storage.base import ObjectInfo
from backstop.storage.posix_files import explain

if TYPE_CHECKING:
    from collections.abc import Iterator

Entries: TypeAlias = "list[tuple[str, os.DirEntry[str]]]"


def scan(directory: Path, folder: str) -> Entries:
    """Entries with their keys, folders with a final ``/``: sorting them so gives S3's order."""
    above = f"{folder}/" if folder else ""
    with os.scandir(directory) as entries:
        return sorted(
            (
                (f"{above}{entry.name}/" if entry.is_dir() else f"{above}{entry.name}", entry)
                for entry in entries
                if not entry.name.startswith(".")
            ),
            key=lambda pair: pair[0],
        )


def walk(found: Entries, prefix: str) -> Iterator[ObjectInfo]:
    """The objects among what :func:`scan` gave, and below it, whose keys begin with ``prefix``."""
    for key, entry in found:
        if not key.startswith(prefix):
            continue
        try:
            below = scan(Path(entry.path), key[:-1]) if key.endswith("/") else None
            info = info_of(key, entry.stat()) if below is None else None
        except FileNotFoundError:
            continue  # deleted since the folder was read
        except OSError as error:
            raise explain(error, entry.path) from error
        if below is not None:
            yield from walk(below, prefix)
        elif info is not None:
            yield info


def info_of(key: str, found: os.stat_result) -> ObjectInfo:
    return ObjectInfo(key, found.st_size, datetime.fromtimestamp(found.st_mtime, timezone.utc))
