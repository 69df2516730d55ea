"""What a tree leaves out: globs of names, or, with a ``/``, of whole paths."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from backstop.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence


class Exclusion:
    """Decides by name and path. What a folder holds goes with it: nobody looks into it.

    :raises ConfigurationError: a glob that could match nothing.
    """

    def __init__(self, globs: Sequence[str]) -> None:
        for glob in globs:
            if "/" in glob.rstrip("/") and not glob.startswith(("/", "**/")):
                raise ConfigurationError(
                    f"exclude {glob!r} is neither a name nor a whole path",
                    hint=f"write {'**/' + glob!r}, or begin it with /",
                )
        self._names = _any_of([glob.rstrip("/") for glob in globs if "/" not in glob.rstrip("/")])
        self._paths = _any_of([glob.rstrip("/") for glob in globs if "/" in glob.rstrip("/")])

    def __bool__(self) -> bool:
        return self._names is not None or self._paths is not None

    def covers(self, path: bytes, name: bytes) -> bool:
        """:param path: without the leading ``/``; :param name: its last part."""
        if self._names is not None and self._names.fullmatch(name):
            return True
        return self._paths is not None and self._paths.fullmatch(b"/" + path) is not None


def has_magic(text: str) -> bool:
    """Whether it is a glob, and no plain path."""
    return re.search(r"[*?[]", text) is not None


def translate(glob: str) -> bytes:
    """The regular expression of a glob: ``*``, ``?`` and ``[a-z]`` never match a ``/``, ``**`` does."""
    raw = os.fsencode(glob)
    parts: list[bytes] = []
    position = 0
    while position < len(raw):
        one = raw[position : position + 1]
        closing = raw.find(b"]", position + 2)
        if raw.startswith(b"**", position):
            parts.append(b".*")
            position += 2
            continue
        if one == b"[" and closing > 0:
            inside = raw[position + 1 : closing]
            negated = inside[:1] in (b"!", b"^")
            inside = inside[negated:].replace(b"\\", b"\\\\").replace(b"[", b"\\[")
            parts.append(b"(?!/)[" + (b"^" if negated else b"") + inside + b"]")
            position = closing + 1
            continue
        parts.append({b"*": b"[^/]*", b"?": b"[^/]"}.get(one, re.escape(one)))
        position += 1
    return b"".join(parts)


def _any_of(globs: Sequence[str]) -> re.Pattern[bytes] | None:
    if not globs:
        return None
    return re.compile(b"|".join(b"(?:" + translate(glob) + b")" for glob in globs), re.DOTALL)
