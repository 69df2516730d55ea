"""A storage in memory for a year of backups: prefixes are searched for, and it can be out of reach."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Any

from backstop.errors import StorageUnavailableError
from backstop.storage.keys import check_prefix
from backstop.storage.memory import MemoryStorage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from backstop.storage.base import ObjectInfo


class Shelf(MemoryStorage):
    """Keeps the contract of every storage; a listing costs what it finds, not what there is."""

    def __init__(self, name: str, **given: Any) -> None:
        super().__init__(name, **given)
        self._keys: list[str] = []
        self.down = False
        self.changes = 0

    def body(self, key: str) -> bytes | None:
        """What lies there, for whoever judges: also while it is out of reach."""
        found = self._objects.get(key)
        return found[0] if found else None

    def put_at(self, key: str) -> datetime:
        """When it appeared, by this storage's clock."""
        return self._objects[key][1].modified_at

    @property
    def content_keys(self) -> object:
        """The names of everything, for asking whether one is there."""
        return self._objects.keys()

    def keys(self, prefix: str) -> list[str]:
        """For whoever judges: the names below a prefix, without the program's own way of listing."""
        first = bisect_left(self._keys, prefix)
        return self._keys[first : bisect_left(self._keys, prefix + "\U0010ffff")]

    def _reach(self) -> None:
        if self.down:
            raise StorageUnavailableError(f"{self.location} does not answer")

    def put_once(self, key: str, data: bytes) -> ObjectInfo:
        self._reach()
        return super().put_once(key, data)

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

    def delete(self, key: str, **given: Any) -> None:
        self._reach()
        super().delete(key, **given)
        at = bisect_left(self._keys, key)
        if at < len(self._keys) and self._keys[at] == key and key not in self._objects:
            del self._keys[at]
            self.changes += 1

    def check(self) -> None:
        self._reach()
