"""From plain files to encrypted objects on their way to every repository."""

from __future__ import annotations

import io
import json
import tarfile
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from backstop.model.backup import StoredObject
from backstop.postgres.dump_directory import SMALL_FILE_BYTES, TOC, DumpFile, DumpFollower

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backstop.commands.replicate import Replication
    from backstop.crypto.key_encryption import Keyring
    from backstop.model.fingerprint import Fingerprint

_PACK_BYTES = 16 * 1024 * 1024
GLOBALS = "globals.sql"
FINGERPRINT = "fingerprint.json"


@dataclass(slots=True)
class ObjectWriter:
    """Encrypts what it is given into staged objects and sends them to the repositories. Thread-safe."""

    target: str
    label: str
    prefix: str
    """``<target>/data/database/<label>/<attempt>``."""
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

    def _next_number(self) -> str:
        with self._lock:
            self._numbered += 1
            return f"t/{self._numbered}"


class Pack:
    """Collects the dump's small files into tar objects of bounded size. Thread-safe."""

    def __init__(self, writer: ObjectWriter) -> None:
        self._writer = writer
        self._lock = threading.Lock()
        self._new()

    def _new(self) -> None:
        self._buffer = io.BytesIO()
        self._archive = tarfile.open(fileobj=self._buffer, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        self._empty = True

    def add(self, file: DumpFile) -> None:
        """Take in one closed file and remove it from the disk."""
        member = tarfile.TarInfo(file.name)
        content = file.path.read_bytes()
        member.size = len(content)
        member.mode = 0o600
        with self._lock:
            self._archive.addfile(member, io.BytesIO(content))
            self._empty = False
            full = self._buffer.tell() >= _PACK_BYTES
            finished = self._take() if full else None
        file.path.unlink()
        if finished is not None:
            self._writer.write(finished, layout="tar", name="")

    def finish(self) -> None:
        """Write what is left."""
        with self._lock:
            finished = None if self._empty else self._take()
        if finished is not None:
            self._writer.write(finished, layout="tar", name="")

    def _take(self) -> io.BytesIO:
        self._archive.close()
        finished = self._buffer
        finished.seek(0)
        self._new()
        return finished


def encode_dump(follower: DumpFollower, pack: Pack, writer: ObjectWriter) -> None:
    """Turn the dump's files into objects as they come; several threads may run this."""
    for file in follower.files():
        if file.closed and file.path.stat().st_size < SMALL_FILE_BYTES:
            pack.add(file)
        else:
            with follower.open(file) as source:
                writer.write(source, layout="file", name=file.name)
            file.path.unlink()


def write_toc(dump_directory: Path, writer: ObjectWriter) -> None:
    """The table of contents, last: without it no data file means anything."""
    with (dump_directory / TOC).open("rb") as source:
        writer.write(source, layout="file", name=TOC, object_name="toc")


def write_globals(path: Path, writer: ObjectWriter) -> None:
    """Roles and their memberships; password verifiers among them."""
    with path.open("rb") as source:
        writer.write(source, layout="file", name=GLOBALS, object_name="globals")


def write_fingerprint(fingerprint: Fingerprint, writer: ObjectWriter) -> None:
    """What a restored copy must equal."""
    writer.write_document(fingerprint.to_dict(), name=FINGERPRINT, object_name="fingerprint")
