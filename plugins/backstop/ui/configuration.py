"""targets.yaml for pages: read again when the file has changed, not for every look at it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from backstop.targets import load_targets
from backstop.targets.load import newest_change, targets_path

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.targets import Configuration


def current_targets() -> Configuration:
    """What targets.yaml says now.

    :raises ConfigurationError: it is missing, unreadable or wrong.
    """
    path = targets_path()
    try:
        seen = newest_change(path)
    except OSError:
        return load_targets(path)  # says what is wrong
    return _loaded(path, seen)


@lru_cache(2)
def _loaded(path: Path, _state: tuple[object, ...]) -> Configuration:
    return load_targets(path)
