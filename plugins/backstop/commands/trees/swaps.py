"""Remembers, on the host that has the files, how the last swap of each tree can be taken back."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from backstop.commands.trees.plan import TreeSwapOutcome
from backstop.errors import NotFoundError, StorageError

if TYPE_CHECKING:
    from pathlib import Path


def remember_swap(folder: Path, target: str, tree: str, outcome: TreeSwapOutcome) -> None:
    """Keep it instead of the one before. :param folder: the tree's staging folder.

    :raises StorageError: it cannot be written; the files are where the outcome says all the same.
    """
    path = _path(folder, target, tree)
    new = path.with_suffix(".new")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(outcome.to_dict(), file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise StorageError(
            f"how this swap is taken back cannot be written to {path}: {error.strerror}",
            hint="the former files are kept: " + ", ".join(outcome.kept[:3]),
        ) from error


def last_swap(folder: Path, target: str, tree: str) -> TreeSwapOutcome:
    """One that can be taken back.

    :raises NotFoundError: nothing of this tree was swapped on this host, or it went back already.
    :raises RestoreError: nothing was live before that swap.
    """
    outcome = swap_done(folder, target, tree)
    outcome.require_former()
    return outcome


def swap_done(folder: Path, target: str, tree: str) -> TreeSwapOutcome:
    """The last one. :raises NotFoundError: nothing of this tree was swapped on this host, or it went back."""
    path = _path(folder, target, tree)
    try:
        return TreeSwapOutcome.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError):
        raise NotFoundError(
            f"nothing is known here of a swap of {tree} of {target} ({path})",
            hint="run it on the host that has the files; former ones are named ….before-<time> beside them",
        ) from None


def _path(folder: Path, target: str, tree: str) -> Path:
    return folder / f"swapped-{target}-{tree}.json"
