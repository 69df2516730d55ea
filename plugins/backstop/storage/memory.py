"""A storage for tests: a dictionary that keeps the contract."""

from __future__ import annotations

import io
import threading
from datetime import datetime, timezone
from typing import TYPE_CHECKING, BinaryIO, cast

from backstop.errors import ObjectConflictError, ObjectMissingError, StorageError
from backstop.storage.base import ObjectInfo
from backstop.storage.keys import check_key, check_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from backstop.storage.base import IncompleteUpload


def _now() -> datetime:
    return datetime.now(timezone.utc)


class MemoryStorage:
    """Keeps objects in this process. Keeps no versions.

    :param clock: what ``modified_at`` of new objects is.
    """

    def __init__(self, name: str = "tests", *, clock: Callable[[], datetime] = _now) -> None:
        self._name = name
        self._clock = clock
        self._objects: dict[str, tuple[bytes, ObjectInfo]] = {}
        self._lock = threading.Lock()

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
        info = ObjectInfo(key, len(data), self._clock())
        self._objects[key] = (data, info)
        return info

    def read(self, key: str, *, max_bytes: int = 64 * 1024 * 1024, version_id: str | None = None) -> bytes:
        check_key(key)
        with self._lock:
            if key not in self._objects:
                raise ObjectMissingError(f"{self.location}/{key} does not exist")
            data, _ = self._objects[key]
        if len(data) > max_bytes:
            raise StorageError(
                f"{self.location}/{key} has {len(data)} bytes, more than {max_bytes}",
                hint="nothing Backstop wrote is that large",
            )
        return data

    def open(self, key: str, *, version_id: str | None = None) -> AbstractContextManager[BinaryIO]:
        data = self.read(key, max_bytes=2**63)
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

    def delete(self, key: str, *, version_id: str | None = None) -> None:
        check_key(key)
        with self._lock:
            self._objects.pop(key, None)

    def incomplete_uploads(self, prefix: str) -> Iterator[IncompleteUpload]:
        """Uploads here have no parts."""
        check_prefix(prefix)
        return iter(())

    def abort_upload(self, upload: IncompleteUpload) -> None:
        """There is none."""

    def check(self) -> None:
        """Always reachable."""
