"""A dump's files as objects: large ones by themselves, small ones packed together."""

from __future__ import annotations

import io
import tarfile
import threading
from typing import TYPE_CHECKING

from backstop.postgres.dump_directory import SMALL_FILE_BYTES, TOC, DumpFile, DumpFollower

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.commands.object_writer import ObjectWriter
    from backstop.model.fingerprint import Fingerprint

_PACK_BYTES = 16 * 1024 * 1024
GLOBALS = "globals.sql"
FINGERPRINT = "fingerprint.json"


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
