"""Backups of file trees for tests: of a real folder, or of a list and packs that no walk would give."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import tarfile
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from backstop.crypto.envelope import encrypt_stream, object_context
from backstop.model.backup import BackupKind, BackupLabel, StoredObject
from backstop.model.file_tree import Chunk, Entry, EntryKind, sort_key
from tests.making import STARTED, Maker

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from backstop.repository.catalog import Published

PIECE_BYTES = 16 * 1024 * 1024
PACK_BYTES = 32 * 1024 * 1024
ATTEMPT = "0123456789abcdef"
_KINDS = {
    stat.S_IFREG: EntryKind.FILE,
    stat.S_IFDIR: EntryKind.DIRECTORY,
    stat.S_IFLNK: EntryKind.SYMLINK,
    stat.S_IFIFO: EntryKind.FIFO,
}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tar_of_pieces(pieces: Iterable[tuple[str, bytes]]) -> bytes:
    """A pack as docs/format.md has it; names may be anything."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in pieces:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@dataclass
class TreeMaker:
    """Publishes backups of one tree."""

    maker: Maker
    tree: str = "media"
    label: BackupLabel = field(init=False)
    started_at: datetime = STARTED
    pack_bytes: int = PACK_BYTES
    objects: list[StoredObject] = field(default_factory=list)
    _pieces: dict[str, bytes] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.label = BackupLabel.at(self.started_at, BackupKind.TREE, tree=self.tree)

    def back_up(self, *roots: Path | str, exclude: tuple[str, ...] = ()) -> Published:
        """Of these files and folders, each a root, as they are now."""
        paths = sorted((os.fsencode(root).strip(b"/") for root in roots), key=sort_key)
        return self.publish(list(self.scan(paths)), roots=[str(root) for root in roots], exclude=exclude)

    def publish(
        self,
        entries: list[Entry],
        *,
        roots: list[str],
        patterns: list[str] | None = None,
        exclude: tuple[str, ...] = (),
        document: dict[str, Any] | None = None,
    ) -> Published:
        """A backup with this list, whatever it says; pieces put so far are its packs."""
        self._store()
        lines = b"".join(entry.to_line() for entry in entries)
        segments = []
        if lines:
            self.put_pack("0-l1", tar_of_pieces([(sha256(lines), lines)]))
            segments = [
                {"sha256": sha256(lines), "pack": "0-l1", "size": len(lines), "entries": len(entries)}
            ]
        files = {
            "format": 1,
            "tree": self.tree,
            "roots": [
                {
                    "pattern": pattern,
                    "path": path,
                    "kind": next(
                        (one.kind for one in entries if one.path == os.fsencode(path)[1:]),
                        EntryKind.DIRECTORY,
                    ).value,
                }
                for pattern, path in zip(patterns or roots, roots, strict=True)
            ],
            "exclude": list(exclude),
            "segments": segments,
            "entries": len(entries),
            **(document or {}),
        }
        self.put("files", json.dumps(files).encode(), layout="file", name="files")
        manifest = replace(
            self.maker.manifest(self.label, self.objects, self.started_at),
            finished_at=self.started_at + timedelta(minutes=1),
            server_version=0,
            system_id="unknown",
            database="",
            timeline=None,
        )
        return self.maker.catalog.publish(manifest, signer=self.maker.signer, ensure_held=lambda: None)

    def file(self, path: str | bytes, content: bytes = b"", **changes: Any) -> Entry:
        """An entry of a file with that content, cut into pieces."""
        chunks = tuple(
            self.chunk(offset, content[offset : offset + PIECE_BYTES])
            for offset in range(0, len(content), PIECE_BYTES)
        )
        return entry(
            path, EntryKind.FILE, **{"size_bytes": len(content), "chunks": chunks, "mode": 0o644, **changes}
        )

    def chunk(self, offset: int, content: bytes) -> Chunk:
        """A piece, put into the next pack."""
        name = sha256(content)
        if name not in self._names:
            if sum(map(len, self._pieces.values())) >= self.pack_bytes:
                self._store()
            self._names[name] = f"0-{len(self.objects) + 1}"
            self._pieces[name] = content
        return Chunk(offset, len(content), name, self._names[name])

    def put_pack(self, name: str, plain: bytes) -> StoredObject:
        return self.put(f"packs/{name.partition('-')[2]}", plain, layout="chunks", name=name)

    def put(self, object_name: str, plain: bytes, *, layout: str, name: str) -> StoredObject:
        key = f"{self.maker.target}/data/trees/{self.tree}/{self.label}/{ATTEMPT}/{object_name}"
        sink = io.BytesIO()
        context = object_context(self.maker.target, self.label.text, key)
        sealed = encrypt_stream(io.BytesIO(plain), sink, keyring=self.maker.keyring, context=context)
        self.maker.storage.put_once(key, sink.getvalue())
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
        return self.objects[-1]

    def scan(self, paths: Iterable[bytes]) -> Iterator[Entry]:
        """Entries of what is there, in the list's order."""
        first: dict[tuple[int, int], bytes] = {}
        waiting = list(reversed(list(paths)))
        while waiting:
            path = waiting.pop()
            found = self._entry(path)
            if found is None:
                continue
            place = os.lstat(b"/" + path)
            if found.kind is not EntryKind.DIRECTORY and place.st_nlink > 1:
                name = first.setdefault((place.st_dev, place.st_ino), path)
                if name != path:
                    found = replace(found, chunks=(), hard_link=name)
            yield found
            if found.kind is EntryKind.DIRECTORY:
                waiting += [path + b"/" + name for name in sorted(names_in(path), reverse=True)]

    def _entry(self, path: bytes) -> Entry | None:
        place = b"/" + path
        found = os.lstat(place)
        kind = _KINDS.get(stat.S_IFMT(found.st_mode))
        if kind is None:
            return None
        is_file = kind is EntryKind.FILE
        return Entry(
            path=path,
            kind=kind,
            mode=stat.S_IMODE(found.st_mode),
            uid=found.st_uid,
            gid=found.st_gid,
            owner="",
            group="",
            mtime_ns=found.st_mtime_ns,
            size_bytes=found.st_size if is_file else 0,
            chunks=tuple(self._chunks(place, found.st_size)) if is_file else (),
            xattrs=tuple(
                (name, os.getxattr(place, name, follow_symlinks=False))
                for name in sorted(os.listxattr(place, follow_symlinks=False))
            ),
            link_target=os.readlink(place) if kind is EntryKind.SYMLINK else b"",  # noqa: PTH115 bytes
        )

    def _chunks(self, place: bytes, size: int) -> Iterator[Chunk]:
        descriptor = os.open(place, os.O_RDONLY)
        try:
            end = 0
            while end < size:
                try:
                    start = os.lseek(descriptor, end, os.SEEK_DATA)
                except OSError:
                    return
                end = os.lseek(descriptor, start, os.SEEK_HOLE)
                for offset in range(start, end, PIECE_BYTES):
                    yield self.chunk(offset, os.pread(descriptor, min(PIECE_BYTES, end - offset), offset))
        finally:
            os.close(descriptor)

    def _store(self) -> None:
        if self._pieces:
            name = self._names[next(iter(self._pieces))]
            self.put_pack(name, tar_of_pieces(self._pieces.items()))
            self._pieces.clear()


def entry(path: str | bytes, kind: EntryKind = EntryKind.DIRECTORY, **changes: Any) -> Entry:
    """An entry with nothing special about it."""
    raw = os.fsencode(path).lstrip(b"/")
    values: dict[str, Any] = {
        "mode": 0o755, "uid": os.geteuid(), "gid": os.getegid(), "owner": "", "group": "",
        "mtime_ns": 1_700_000_000_123_456_789, **changes,
    }  # fmt: skip
    return Entry(path=raw, kind=kind, **values)


def names_in(path: bytes) -> list[bytes]:
    with os.scandir(b"/" + path) as found:
        return [one.name for one in found]
