"""From plain streams to encrypted objects on their way to every repository."""

from __future__ import annotations

import io
import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from backstop.model.backup import StoredObject

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backstop.commands.replicate import Replication
    from backstop.crypto.key_encryption import Keyring


@dataclass(slots=True)
class ObjectWriter:
    """Encrypts what it is given into staged objects and sends them to the repositories. Thread-safe."""

    target: str
    label: str
    prefix: str
    """Of its keys: ``<target>/data/database/<label>/<attempt>``, or ``…/trees/<tree>/<label>/<attempt>``."""
    folder: Path
    keyring: Keyring
    replication: Replication
    progress: Callable[[int], None]
    compressors: int = 1
    """Threads that compress each object."""
    objects: list[StoredObject] = field(default_factory=list)
    _keys: list[tuple[str, ...]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _numbered: int = 0

    def write(self, source: BinaryIO, *, layout: str, name: str, object_name: str | None = None) -> None:
        """Store all of ``source`` as one object.

        :param object_name: last part of its key; by default the next number, ``t/<n>``.
        """
        from backstop.crypto.envelope import encrypt_stream, object_context

        key = f"{self.prefix}/{object_name or self._next_number()}"
        staged = self.folder / f"{key.removeprefix(self.prefix).strip('/').replace('/', '-')}.object"
        with staged.open("xb") as sink:
            sealed = encrypt_stream(
                source,
                sink,
                keyring=self.keyring,
                context=object_context(self.target, self.label, key),
                compressors=self.compressors,
            )
        with self._lock:
            self.objects.append(
                StoredObject(
                    key=key,
                    layout=layout,
                    name=name,
                    plain_bytes=sealed.plain_bytes,
                    stored_bytes=sealed.stored_bytes,
                    plain_sha256=sealed.plain_sha256,
                    stored_sha256=sealed.stored_sha256,
                )
            )
            self._keys.append(sealed.keys)
        self.replication.add(key, staged)
        self.progress(sealed.plain_bytes)

    def write_document(self, document: dict[str, Any], *, name: str, object_name: str) -> None:
        """Store a small JSON document."""
        body = json.dumps(document, sort_keys=True, ensure_ascii=False).encode()
        self.write(io.BytesIO(body), layout="file", name=name, object_name=object_name)

    def common_keys(self) -> tuple[str, ...]:
        """Keys each of which can open every object written."""
        return tuple(sorted(set.intersection(*map(set, self._keys)))) if self._keys else ()

    @property
    def sealed_by(self) -> tuple[tuple[str, ...], ...]:
        """Of each object that was written, the keys that open it."""
        with self._lock:
            return tuple(self._keys)

    def _next_number(self) -> str:
        with self._lock:
            self._numbered += 1
            return f"t/{self._numbered}"
