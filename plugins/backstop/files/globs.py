"""Globs of paths, as targets.yaml has them: ``*``, ``?`` and ``[a-z]`` match within one folder."""

from __future__ import annotations

import functools
import glob
import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def has_glob(pattern: str) -> bool:
    return glob.has_magic(pattern)


@functools.lru_cache(maxsize=256)
def glob_regex(pattern: str) -> re.Pattern[bytes]:
    """Matches absolute paths; ``**`` matches across folders."""
    raw = os.fsencode(pattern)
    parts: list[bytes] = []
    position = 0
    while position < len(raw):
        one = raw[position : position + 1]
        position += 1
        if raw.startswith(b"**", position - 1):
            parts.append(b".*")
            position += 1
        elif one == b"*":
            parts.append(b"[^/]*")
        elif one == b"?":
            parts.append(b"[^/]")
        elif one == b"[" and (end := raw.find(b"]", position + 1)) != -1:
            inside = raw[position:end].replace(b"\\", b"\\\\").replace(b"[", b"\\[")
            negated = inside[:1] in (b"!", b"^")
            parts.append(b"(?!/)[" + (b"^" + inside[1:] if negated else inside) + b"]")
            position = end + 1
        else:
            parts.append(re.escape(one))
    return re.compile(b"".join(parts), re.DOTALL)


def is_excluded(path: bytes, exclude: Sequence[str]) -> bool:
    """Whether a tree leaves out what has this absolute path: by a glob of names, or with a ``/`` of paths."""
    name = path.rpartition(b"/")[2]
    return any(glob_regex(one).fullmatch(path if "/" in one else name) for one in exclude)


def covered_by(path: bytes, patterns: Sequence[str]) -> bool:
    """Whether an absolute path is what a pattern names, or lies below that."""
    parts = path.split(b"/")
    above = [b"/".join(parts[:end]) for end in range(2, len(parts) + 1)]
    for pattern in patterns:
        regex = glob_regex(pattern.rstrip("/")) if has_glob(pattern) else None
        if any(regex.fullmatch(one) if regex else one == os.fsencode(pattern.rstrip("/")) for one in above):
            return True
    return False


def live_matches(pattern: str) -> list[bytes]:
    """Absolute paths that are there now, in order; ``*`` matches no hidden name."""
    return sorted(glob.glob(os.fsencode(pattern), recursive=True))  # noqa: PTH207 bytes, which Path has not
