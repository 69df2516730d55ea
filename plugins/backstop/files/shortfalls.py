"""What could not be given back to files: counted by kind, a few named. Never fatal, never silent."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backstop.model.file_tree import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAMED = 5
_MOST_PATHS = 500_000

OWNER = "owner"
SETUID = "setuid"
XATTR = "xattr "
"""Followed by the attribute's namespace, such as ``trusted``."""


@dataclass(frozen=True, slots=True)
class Excuses:
    """What a comparison need not expect of which file: only what could not be set on that very one.

    :param paths: kinds by a hash of the path; :param kinds: of so many files that they were not kept apart.
    """

    paths: Mapping[int, frozenset[str]]
    kinds: frozenset[str] = frozenset()

    def of(self, path: bytes) -> frozenset[str]:
        """:data:`OWNER`, :data:`SETUID`, ``xattr trusted``…"""
        found = self.paths.get(_hashed(path)) if self.paths else None
        return self.kinds if found is None else found | self.kinds

    def to_json(self) -> bytes:
        by_kind: dict[str, list[int]] = {}
        for path, kinds in self.paths.items():
            for kind in sorted(kinds):
                by_kind.setdefault(kind, []).append(path)
        return json.dumps({"kinds": sorted(self.kinds), "paths": by_kind}).encode()

    @classmethod
    def from_json(cls, body: bytes) -> Excuses:
        """:raises ValueError: it is none."""
        raw: dict[str, Any] = json.loads(body)
        paths: dict[int, frozenset[str]] = {}
        for kind, hashed in raw["paths"].items():
            for path in hashed:
                paths[path] = paths.get(path, frozenset()) | {kind}
        return cls(paths, frozenset(raw["kinds"]))


class Shortfalls:
    """Thread-safe."""

    def __init__(self, *, most_paths: int = _MOST_PATHS) -> None:
        self._counts: dict[str, int] = {}
        self._named: dict[str, list[str]] = {}
        self._paths: dict[int, frozenset[str]] = {}
        self._most_paths = most_paths
        self._kinds: set[str] = set()
        self._lock = threading.Lock()

    def add(self, kind: str, path: bytes) -> None:
        with self._lock:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            named = self._named.setdefault(kind, [])
            if len(named) < _NAMED:
                named.append(shown(path))
            hashed = _hashed(path)
            if hashed in self._paths or len(self._paths) < self._most_paths:
                self._paths[hashed] = self._paths.get(hashed, frozenset()) | {kind}
            else:
                # An ordinary user restores millions of another's files: memory comes first.
                self._kinds.add(kind)

    @property
    def excuses(self) -> Excuses:
        """What a comparison need not expect."""
        return Excuses(self._paths, frozenset(self._kinds))

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


def _hashed(path: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(path, digest_size=8).digest(), "big")
