"""What a tree's paths and globs cover, and what a glob finds now."""

from __future__ import annotations

import functools
import os
import re
from typing import TYPE_CHECKING

from backstop.files.exclusion import has_magic, translate
from backstop.files.roots import find_roots

if TYPE_CHECKING:
    from collections.abc import Sequence


@functools.lru_cache(maxsize=256)
def glob_regex(pattern: str) -> re.Pattern[bytes]:
    """Matches absolute paths."""
    return re.compile(translate(pattern.rstrip("/")), re.DOTALL)


def covered_by(path: bytes, patterns: Sequence[str]) -> bool:
    """Whether an absolute path is what one of the patterns names, or lies below that."""
    parts = path.split(b"/")
    above = [b"/".join(parts[:end]) for end in range(2, len(parts) + 1)]
    for pattern in patterns:
        if has_magic(pattern):
            if any(map(glob_regex(pattern).fullmatch, above)):
                return True
        elif os.fsencode(pattern.rstrip("/")) in above:
            return True
    return False


def live_matches(pattern: str) -> list[bytes]:
    """Absolute paths of what a glob names now, in order; without what no backup holds.

    :raises SourceError: a folder on the way cannot be read.
    """
    return [b"/" + root.path for root in find_roots([pattern])]
