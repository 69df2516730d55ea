"""What could not be given back to files: counted by kind, a few named. Never fatal, never silent."""

from __future__ import annotations

import threading

from backstop.model.file_tree import shown

_NAMED = 5

OWNER = "owner"
SETUID = "setuid"
XATTR = "xattr "
"""Followed by the attribute's namespace, such as ``trusted``."""


class Shortfalls:
    """Thread-safe."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._named: dict[str, list[str]] = {}
        self._lock = threading.Lock()

    def add(self, kind: str, path: bytes) -> None:
        with self._lock:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            named = self._named.setdefault(kind, [])
            if len(named) < _NAMED:
                named.append(shown(path))

    @property
    def kinds(self) -> tuple[str, ...]:
        """:data:`OWNER`, :data:`SETUID`, ``xattr trusted``…: what a comparison need not expect."""
        return tuple(sorted(self._counts))

    def sentences(self) -> tuple[str, ...]:
        """One for each kind."""
        return tuple(
            f"{_WHAT.get(kind, 'the extended attributes of the kind ' + kind.removeprefix(XATTR))} could not "
            f"be set on {count} of the files: {', '.join(self._named[kind])}{', …' if count > _NAMED else ''}"
            for kind, count in sorted(self._counts.items())
        )


_WHAT = {
    OWNER: "the owner",
    SETUID: "setuid or setgid of a foreign owner",
}


def xattr_kind(name: str) -> str:
    """The kind of an attribute by its namespace (xattr(7)); ACLs by their whole name."""
    return XATTR + (name if name.startswith("system.") else name.partition(".")[0])
