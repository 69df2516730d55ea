"""Reads the list of a tree's files out of a backup."""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backstop.commands.database.fetch import read_object
from backstop.commands.trees.list_writer import Segment
from backstop.errors import IntegrityError
from backstop.files.roots import Root
from backstop.model.file_tree import Entry, EntryKind
from backstop.model.format_version import known_version
from backstop.repository.stored import open_stored

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from backstop.crypto.key_encryption import Keyring
    from backstop.model.backup import Manifest, StoredObject
    from backstop.repository.catalog import Repository

NAME = "files"
_FORMAT = 1
_READERS = 4
# In a line every double quote that belongs to a name is escaped: this is never part of one.
_PACK = re.compile(rb',"[0-9a-f]{64}","([0-9a-z-]+)"\]')
_CHUNKS = b',"chunks":['
_PIECE = re.compile(rb'\[\d+,\d+,"([0-9a-f]{64})","([0-9a-z-]+)"\]')
_HINT = "choose another backup, or read it from another repository"


@dataclass(frozen=True, slots=True)
class TreeListing:
    """What one backup of a tree lists. The folder that it was read into must stay.

    :param exclude: as configured when it was taken.
    """

    manifest: Manifest
    roots: tuple[Root, ...]
    exclude: tuple[str, ...]
    entries_count: int
    segments: tuple[Segment, ...]
    _places: dict[str, tuple[Path, int]] = field(repr=False)
    """By SHA-256 of a segment: where it lies in a pack, decrypted."""

    def entries(self) -> Iterator[Entry]:
        """Every entry, in the list's order; memory for one segment.

        :raises IntegrityError: the list is not what its backup says.
        """
        last: tuple[bytes, ...] = ()
        count = 0
        for segment in self.segments:
            for line in self._content(segment).splitlines(keepends=True):
                entry = Entry.from_line(line)
                key = entry.sort_key
                if key <= last:
                    raise self._damaged("is not in order")
                last = key
                count += 1
                yield entry
        if count != self.entries_count:
            raise self._damaged(f"has {count} entries instead of {self.entries_count}")

    def lines(self) -> Iterator[bytes]:
        """Every entry as it is written; for whoever needs few of them, and not their order checked."""
        for segment in self.segments:
            yield from self._content(segment).splitlines(keepends=True)

    def pieces(self) -> Iterator[tuple[str, str]]:
        """SHA-256 of every piece of every file, and the name of the pack that holds it."""
        for segment in self.segments:
            for sha256, pack in _PIECE.findall(self._content(segment)):
                yield sha256.decode(), pack.decode()

    def _content(self, segment: Segment) -> bytes:
        path, offset = self._places[segment.sha256]
        with path.open("rb") as file:
            file.seek(offset)
            content = file.read(segment.size_bytes)
        if hashlib.sha256(content).hexdigest() != segment.sha256:
            raise self._damaged("has a segment of other content than its name says")
        return content

    def _damaged(self, what: str) -> IntegrityError:
        return IntegrityError(
            f"the list of files of {self.manifest.label} of {self.manifest.target} {what}", hint=_HINT
        )


def read_listing(
    repository: Repository, manifest: Manifest, *, keyring: Keyring, folder: Path
) -> TreeListing:
    """Fetch, decrypt and check the whole list, into files of ``folder``.

    :param folder: must be there, private to this user, until the listing is no longer needed.
    :raises ConfigurationError: the backup is not one of a file tree.
    :raises IntegrityError: something is damaged, or lacks what belongs to it.
    :raises ObjectMissingError: the repository has lost some of it.
    :raises KeyUnavailableError: this key ring does not open it.
    """
    manifest.require_tree()
    document = _document(read_object(repository, manifest, NAME, keyring=keyring), manifest)
    segments = tuple(document["segments"])
    packs = {stored.name: stored for stored in manifest.objects if stored.layout == "chunks"}
    wanted = {segment.pack: packs.get(segment.pack) for segment in segments}
    missing = [name for name, stored in wanted.items() if stored is None]
    if missing:
        raise IntegrityError(
            f"manifest {manifest.label} of {manifest.target} lists no pack {missing[0]!r}, "
            "in which a part of its list of files lies",
            hint=_HINT,
        )

    def fetch(stored: StoredObject) -> dict[str, tuple[Path, int, int]]:
        return _pieces_of(_fetch(repository, manifest, stored, keyring=keyring, folder=folder), stored)

    found: dict[str, tuple[Path, int, int]] = {}
    with ThreadPoolExecutor(max_workers=_READERS, thread_name_prefix="list") as pool:
        for pieces in pool.map(fetch, [stored for stored in wanted.values() if stored is not None]):
            found.update(pieces)
    for segment in segments:
        if segment.sha256 not in found or found[segment.sha256][2] != segment.size_bytes:
            raise IntegrityError(
                f"pack {segment.pack} of {manifest.label} lacks a segment of the list of files", hint=_HINT
            )
    return TreeListing(
        manifest=manifest,
        roots=document["roots"],
        exclude=document["exclude"],
        entries_count=document["entries"],
        segments=segments,
        _places={sha256: (path, offset) for sha256, (path, offset, _) in found.items()},
    )


def packs_of(line: bytes) -> list[bytes]:
    """Names of the packs that hold pieces of a line's file, one a piece."""
    return _PACK.findall(line, line.find(_CHUNKS))


def _fetch(
    repository: Repository, manifest: Manifest, stored: StoredObject, *, keyring: Keyring, folder: Path
) -> Path:
    from backstop.crypto.envelope import decrypt_to_file, object_context

    destination = folder / f"list-{stored.name}.tar"
    context = object_context(manifest.target, stored.origin.text, stored.key)
    with open_stored(repository.storage, stored) as source:
        decrypt_to_file(source, destination, keyring=keyring, context=context, expected=stored)
    return destination


def _pieces_of(pack: Path, stored: StoredObject) -> dict[str, tuple[Path, int, int]]:
    """Path, offset and size of every piece, by its SHA-256."""
    try:
        with tarfile.open(pack, mode="r:") as archive:
            return {
                member.name: (pack, member.offset_data, member.size)
                for member in archive
                if member.isreg() and not member.issparse()
            }
    except tarfile.TarError as error:
        raise IntegrityError(f"object {stored.key} is not a tar file: {error}", hint=_HINT) from error


def _document(body: bytes, manifest: Manifest) -> dict[str, Any]:
    try:
        raw = json.loads(body)
        known_version(raw, what=f"the list of files of {manifest.label} of {manifest.target}")
        if raw["tree"] != manifest.label.tree:
            raise ValueError(f"tree {raw['tree']}")
        return {
            "roots": tuple(
                Root(
                    one["pattern"],
                    one["path"].encode(errors="surrogateescape").lstrip(b"/"),
                    EntryKind(one["kind"]),
                )
                for one in raw["roots"]
            ),
            "exclude": tuple(raw["exclude"]),
            "segments": [
                Segment(one["sha256"], one["pack"], int(one["size"]), int(one["entries"]))
                for one in raw["segments"]
            ],
            "entries": int(raw["entries"]),
        }
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise IntegrityError(
            f"the list of files of {manifest.label} of {manifest.target} is malformed: {error}", hint=_HINT
        ) from error


def listing_document(
    *,
    tree: str,
    roots: Collection[Root],
    exclude: Collection[str],
    segments: Collection[Segment],
    entries: int,
) -> dict[str, Any]:
    """The ``files`` object of a backup (docs/format.md)."""
    return {
        "format": _FORMAT,
        "tree": tree,
        "roots": [
            {
                "pattern": one.pattern,
                "path": "/" + one.path.decode(errors="surrogateescape"),
                "kind": one.kind.value,
            }
            for one in roots
        ],
        "exclude": list(exclude),
        "segments": [
            {"sha256": one.sha256, "pack": one.pack, "size": one.size_bytes, "entries": one.entries}
            for one in segments
        ],
        "entries": entries,
    }
