"""A storage for tests: a dictionary that keeps the contract."""

from __future__ import annotations

import io
import threading
from datetime import datetime, timezone
from typing import TYPE_CHECKING, BinaryIO, cast

from backstop.errors import ObjectConflictError, ObjectMissingError, ObjectTooLargeError, StorageError
from backstop.storage.base import ObjectInfo, ObjectLock, ObjectVersion, Undeleted
from backstop.storage.keys import check_key, check_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from backstop.model.object_lock import LockRule
    from backstop.storage.base import IncompleteUpload


def _now() -> datetime:
    return datetime.now(timezone.utc)


class MemoryStorage:
    """Keeps objects in this process.

    :param clock: what ``modified_at`` of new objects is, and what locks are held against.
    :param versioned: keep what is deleted or stored again under the same key, as a versioned bucket does.
    :param lock_rule: lock what is put as it says.
    """

    def __init__(
        self,
        name: str = "tests",
        *,
        clock: Callable[[], datetime] = _now,
        versioned: bool = False,
        lock_rule: LockRule | None = None,
    ) -> None:
        self._name = name
        self._clock = clock
        self._versioned = versioned
        self.lock_rule = lock_rule
        self._objects: dict[str, tuple[bytes, ObjectInfo]] = {}
        self._past: dict[str, list[tuple[bytes, ObjectVersion]]] = {}
        self._locks: dict[tuple[str, str | None], ObjectLock] = {}
        self._made = 0
        self._lock = threading.RLock()

    @property
    def location(self) -> str:
        return f"memory://{self._name}"

    def put_once(self, key: str, data: bytes) -> ObjectInfo:
        check_key(key)
        with self._lock:
            if key in self._objects:
                found, info = self._objects[key]
                if found == data:
                    return info
                raise ObjectConflictError(
                    f"{self.location}/{key} exists with other content", hint="it is never overwritten"
                )
            return self._store(key, bytes(data))

    def upload(self, key: str, source: Path | bytes) -> ObjectInfo:
        check_key(key)
        data = source if isinstance(source, bytes) else source.read_bytes()
        with self._lock:
            if key in self._objects:
                raise ObjectConflictError(f"{self.location}/{key} exists", hint="it is never overwritten")
            return self._store(key, data)

    def _store(self, key: str, data: bytes) -> ObjectInfo:
        info = ObjectInfo(key, len(data), self._clock(), self._next_version())
        self._objects[key] = (data, info)
        if self.lock_rule and (until := self.lock_rule.until(key, now=info.modified_at)):
            self._locks[key, info.version_id] = ObjectLock(until)
        return info

    def _next_version(self) -> str | None:
        self._made += 1
        return f"{self._made:08d}" if self._versioned else None

    def read(self, key: str, *, max_bytes: int = 64 * 1024 * 1024, version_id: str | None = None) -> bytes:
        check_key(key)
        with self._lock:
            data = self._find(key, version_id)
        if len(data) > max_bytes:
            raise ObjectTooLargeError(f"{self.location}/{key} has {len(data)} bytes, more than {max_bytes}")
        return data

    def _find(self, key: str, version_id: str | None) -> bytes:
        if self._versioned and version_id is not None:
            for data, version in self._past.get(key, ()):
                if version.version_id == version_id and not version.is_marker:
                    return data
            if key not in self._objects or self._objects[key][1].version_id != version_id:
                raise ObjectMissingError(f"{self.location}/{key} has no version {version_id}")
        if key not in self._objects:
            raise ObjectMissingError(f"{self.location}/{key} does not exist")
        return self._objects[key][0]

    def open(self, key: str, *, version_id: str | None = None) -> AbstractContextManager[BinaryIO]:
        data = self.read(key, max_bytes=2**63, version_id=version_id)
        return cast("AbstractContextManager[BinaryIO]", io.BufferedReader(io.BytesIO(data)))

    def stat(self, key: str) -> ObjectInfo | None:
        check_key(key)
        with self._lock:
            return self._objects[key][1] if key in self._objects else None

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        with self._lock:
            found = [info for key, (_, info) in self._objects.items() if key.startswith(prefix)]
        return iter(sorted(found, key=lambda info: info.key))

    def folders(self) -> Iterator[str]:
        with self._lock:
            found = {key.partition("/")[0] for key in self._objects if "/" in key}
        return iter(sorted(found))

    def versions(self, prefix: str) -> Iterator[ObjectVersion]:
        check_prefix(prefix)
        with self._lock:
            found = [
                ObjectVersion(info.key, info.size_bytes, info.modified_at, info.version_id)
                for key, (_, info) in self._objects.items()
                if key.startswith(prefix)
            ]
            found += [
                version
                for key, versions in self._past.items()
                if key.startswith(prefix)
                for _, version in versions
            ]
        return iter(sorted(found, key=lambda version: version.key))

    def versions_of(self, key: str) -> Iterator[ObjectVersion]:
        return (one for one in self.versions(check_key(key)) if one.key == key)

    def delete(self, key: str, *, version_id: str | None = None) -> None:
        check_key(key)
        with self._lock:
            if not self._versioned or version_id is not None:
                self._remove(key, version_id)
            elif key in self._objects:
                data, info = self._objects.pop(key)
                hidden = ObjectVersion(key, info.size_bytes, info.modified_at, info.version_id, False)
                marker = ObjectVersion(key, 0, self._clock(), self._next_version(), is_marker=True)
                self._past.setdefault(key, []).extend([(data, hidden), (b"", marker)])

    def _remove(self, key: str, version_id: str | None) -> None:
        if self.lock(key, version_id=version_id):
            raise StorageError(f"{self.location}/{key} is locked", hint="wait until its lock has ended")
        if not self._versioned or (key in self._objects and self._objects[key][1].version_id == version_id):
            self._objects.pop(key, None)
        elif key in self._past:
            self._past[key] = [one for one in self._past[key] if one[1].version_id != version_id]

    def delete_many(self, versions: Iterable[tuple[str, str | None]]) -> tuple[Undeleted, ...]:
        kept = []
        for key, version_id in versions:
            with self._lock:
                lock = self.lock(key, version_id=version_id)
                if lock and (version_id is not None or not self._versioned):
                    kept.append(Undeleted(key, version_id, lock))
                else:
                    self.delete(key, version_id=version_id)
        return tuple(kept)

    def lock_object(self, key: str, *, until: datetime | None) -> None:
        """Keep the current version from being deleted; ``until`` None is a legal hold."""
        with self._lock:
            self._locks[key, self._objects[key][1].version_id] = ObjectLock(until)

    def lock(self, key: str, *, version_id: str | None = None) -> ObjectLock | None:
        check_key(key)
        with self._lock:
            if version_id is None and key in self._objects:
                version_id = self._objects[key][1].version_id
            found = self._locks.get((key, version_id))
        return found if found and (found.until is None or found.until > self._clock()) else None

    def extend_lock(self, key: str, *, until: datetime, version_id: str | None = None) -> None:
        if self.lock_rule is None:
            return
        with self._lock:
            self._find(check_key(key), version_id)
            found = self.lock(key, version_id=version_id)
            if found is None or (found.until is not None and found.until < until):
                version_id = self._objects[key][1].version_id if version_id is None else version_id
                self._locks[key, version_id] = ObjectLock(until)

    def incomplete_uploads(self, prefix: str) -> Iterator[IncompleteUpload]:
        """Uploads here have no parts."""
        check_prefix(prefix)
        return iter(())

    def abort_upload(self, upload: IncompleteUpload) -> None:
        """There is none."""

    def check(self) -> datetime | None:
        """Always reachable."""
        return self._clock()

    def probe(self, key: str) -> None:
        """Always writable."""
        check_key(key)
