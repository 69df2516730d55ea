"""A storage in memory for a year of backups: prefixes are searched for, and it can be out of reach."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Any

from backstop.errors import StorageUnavailableError
from backstop.storage.base import ObjectVersion
from backstop.storage.keys import check_prefix
from backstop.storage.memory import MemoryStorage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backstop.storage.base import ObjectInfo


class Killed(BaseException):
    """The worker is gone: nothing that it would do next happens."""


class Shelf(MemoryStorage):
    """Keeps the contract of every storage; a listing costs what it finds, not what there is.

    :ivar down: whether it is out of reach; :ivar changes: how often anything was stored or removed.
    :ivar fails: what every call raises from ``calls_left`` further ones on.
    :ivar when_stored: called with the name of each small object that has just been put.
    """

    def __init__(self, name: str, **given: Any) -> None:
        super().__init__(name, **given)
        self._keys: list[str] = []
        self.down = False
        self.fails: BaseException | None = None
        self.calls_left = 0
        self.when_stored: Callable[[str], None] = lambda key: None
        self.changes = 0

    # -- For whoever judges: also while it is out of reach, and without the program's own way of asking. -----

    def body(self, key: str) -> bytes | None:
        """What lies there."""
        found = self._objects.get(key)
        return found[0] if found else None

    def info(self, key: str) -> ObjectInfo:
        """Of what lies there."""
        return self._objects[key][1]

    def __contains__(self, key: str) -> bool:
        return key in self._objects

    def __len__(self) -> int:
        return len(self._objects)

    def keys(self, prefix: str) -> list[str]:
        """The names below a prefix."""
        first = bisect_left(self._keys, prefix)
        return self._keys[first : bisect_left(self._keys, prefix + "\U0010ffff")]

    def hidden(self, prefix: str) -> list[str]:
        """Below a prefix, what was deleted and takes space all the same, in a bucket that keeps versions."""
        return [key for key, versions in self._past.items() if versions and key.startswith(prefix)]

    # -- What the program asks. ------------------------------------------------------------------------------

    def _reach(self) -> None:
        if self.down:
            raise StorageUnavailableError(f"{self.location} does not answer")
        if self.fails is not None:
            self.calls_left -= 1
            if self.calls_left < 0:
                raise self.fails

    def put_once(self, key: str, data: bytes) -> ObjectInfo:
        self._reach()
        info = super().put_once(key, data)
        self.when_stored(key)
        return info

    def upload(self, key: str, source: Any) -> ObjectInfo:
        self._reach()
        return super().upload(key, source)

    def _store(self, key: str, data: bytes) -> ObjectInfo:
        insort(self._keys, key)
        self.changes += 1
        return super()._store(key, data)

    def read(self, key: str, **given: Any) -> bytes:
        self._reach()
        return super().read(key, **given)

    def stat(self, key: str) -> ObjectInfo | None:
        self._reach()
        return super().stat(key)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        self._reach()
        check_prefix(prefix)
        return iter([self._objects[key][1] for key in self.keys(prefix)])

    def versions(self, prefix: str) -> Iterator[ObjectVersion]:
        self._reach()
        check_prefix(prefix)
        current = (self._objects[key][1] for key in self.keys(prefix))
        found = [ObjectVersion(one.key, one.size_bytes, one.modified_at, one.version_id) for one in current]
        found += [version for key in self.hidden(prefix) for _, version in self._past[key]]
        return iter(sorted(found, key=lambda version: version.key))

    def delete(self, key: str, **given: Any) -> None:
        self._reach()
        super().delete(key, **given)
        self.changes += 1
        at = bisect_left(self._keys, key)
        if at < len(self._keys) and self._keys[at] == key and key not in self._objects:
            del self._keys[at]

    def check(self) -> None:
        self._reach()
