"""One backup encrypted anew: every object opened, compared, sealed with the ring of now; then published."""

from __future__ import annotations

import io
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, cast

from backstop.commands.object_writer import ObjectWriter
from backstop.commands.replicate import MAX_STAGED_BYTES, Replication
from backstop.commands.staging import staging_directory
from backstop.crypto.envelope import decrypt_stream, object_context
from backstop.errors import IntegrityError, KeyUnavailableError
from backstop.model.key_material import is_among
from backstop.model.reencryption import encrypted_anew, free_label
from backstop.repository.stored import open_stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from backstop.commands.progress import Progress
    from backstop.commands.publication import Publication
    from backstop.crypto.key_encryption import Keyring
    from backstop.errors import BackstopError
    from backstop.model.backup import BackupLabel, Manifest, StoredObject
    from backstop.repository.catalog import Published, Repository

_BLOCK_BYTES = 1024 * 1024


@dataclass(slots=True)
class Renewed:
    """Packs of trees that have been encrypted anew: later backups of the tree refer to them, too.

    :param packs: by the key of the old object.
    :param version_ids: by the key of the new one, by repository name.
    """

    packs: dict[str, StoredObject] = field(default_factory=dict)
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    version_ids: dict[str, dict[str, str | None]] = field(default_factory=dict)

    def note(self, old: Manifest, new: Mapping[str, Manifest]) -> None:
        """:param new: its successor as it lies in each repository, by name."""
        for name, manifest in new.items():
            by_name = {one.name: one for one in manifest.objects if one.layout == "chunks"}
            for stored in old.objects:
                if stored.layout == "chunks" and stored.name in by_name:
                    one = by_name[stored.name]
                    self.packs[stored.key] = one
                    self.keys[one.key] = manifest.keys
                    self.version_ids.setdefault(one.key, {})[name] = one.version_id

    def pack(self, stored: StoredObject, repositories: Sequence[str]) -> StoredObject | None:
        """What stands for it, when all these repositories have that."""
        found = self.packs.get(stored.key)
        if found is None or not set(repositories) <= self.version_ids[found.key].keys():
            return None
        return found


@dataclass(slots=True)
class Reencryption:
    """One backup; its objects share a name that no other attempt has."""

    target: str
    compromised: str
    source: Repository
    published: Published
    publication: Publication
    opening: Keyring
    keyring: Keyring
    successors: Mapping[BackupLabel, BackupLabel]
    renewed: Renewed
    taken: set[BackupLabel]
    staging: Path
    progress: Progress

    def run(self) -> tuple[Manifest, int, dict[str, BackstopError]]:
        """:returns: the new manifest, the bytes stored for it, and repositories that went without.

        :raises BackstopError: nothing was published.
        """
        old, attempt = self.published.manifest, secrets.token_hex(8)
        label = free_label(old.label, lambda one: one in self.taken)
        with (
            staging_directory(self.staging, f"{self.target}-{label}-{attempt}") as folder,
            Replication(self.publication.repositories, max_staged_bytes=MAX_STAGED_BYTES) as replication,
        ):
            try:
                writer = self._writer(label, attempt, folder, replication)
                reused = [self._renew(stored, writer) for stored in old.objects]
                replication.finish()
                earlier = [stored for stored in reused if stored is not None]
                objects = [*earlier, *writer.objects]
                manifest = encrypted_anew(
                    old,
                    label=label,
                    attempt=attempt,
                    objects=objects,
                    keys=self._keys(writer, earlier),
                    successors=self.successors,
                )
                failures = self.publication.publish(manifest, replication, earlier=self._versions(earlier))
            except BaseException:
                self.publication.discard(replication)
                raise
            self.publication.discard(replication, failures=failures)
        return manifest, sum(stored.stored_bytes for stored in writer.objects), failures

    def _writer(
        self, label: BackupLabel, attempt: str, folder: Path, replication: Replication
    ) -> ObjectWriter:
        place = f"trees/{label.tree}" if label.tree else "database"
        return ObjectWriter(
            target=self.target,
            label=label.text,
            prefix=f"{self.target}/data/{place}/{label}/{attempt}",
            folder=folder,
            keyring=self.keyring,
            replication=replication,
            progress=self.progress.advance,
        )

    def _renew(self, stored: StoredObject, writer: ObjectWriter) -> StoredObject | None:
        """Store it anew; what has been already is returned instead."""
        if stored.layout == "chunks":
            names = [repository.name for repository in self.publication.repositories]
            if (found := self.renewed.pack(stored, names)) is not None:
                return found
        context = object_context(self.target, stored.origin.text, stored.key)
        count = len(writer.objects)
        with open_stored(self.source.storage, stored) as source:
            blocks = decrypt_stream(source, keyring=self.opening, context=context, expected=stored)
            plain = cast("BinaryIO", io.BufferedReader(_Blocks(blocks), _BLOCK_BYTES))
            writer.write(plain, layout=stored.layout, name=stored.name, object_name=_object_name(stored))
        sealed = writer.objects[count]
        if (sealed.plain_sha256, sealed.plain_bytes) != (stored.plain_sha256, stored.plain_bytes):
            raise IntegrityError(
                f"{stored.key} came out of its encryption other than it went in",
                hint="this is a defect of this program or of this machine's memory: report it",
            )
        return None

    def _keys(self, writer: ObjectWriter, earlier: Sequence[StoredObject]) -> tuple[str, ...]:
        # As a backup of a tree has it: of packs of earlier backups, the keys of their manifests.
        before = {key for stored in earlier for key in self.renewed.keys[stored.key]}
        keys = tuple(sorted({*writer.common_keys(), *before}))
        if any(is_among(self.compromised, one) for one in (keys, *writer.sealed_by)):
            raise KeyUnavailableError(
                f"what was encrypted anew is wrapped with {self.compromised} again",
                hint="rotate the keys first, or take that key out of targets.yaml",
            )
        return keys

    def _versions(self, earlier: Sequence[StoredObject]) -> dict[str, dict[str, str | None]]:
        return {
            repository.name: {
                stored.key: self.renewed.version_ids[stored.key][repository.name] for stored in earlier
            }
            for repository in self.publication.repositories
        }


class _Blocks(io.RawIOBase):
    """Blocks as a stream; what they raise passes through, before anything counts as their end."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._left:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._left = memoryview(block)
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def _object_name(stored: StoredObject) -> str:
    """Last part of the new key. Packs of several attempts come together: their numbers may be the same."""
    # <target>/data/database/<label>/<attempt>/<rest>, or <target>/data/trees/<tree>/<label>/<attempt>/<rest>
    parts = stored.key.split("/")
    first = 6 if parts[2] == "trees" else 5
    rest = "/".join(parts[first:])
    return f"{rest}-{parts[first - 1]}" if stored.layout == "chunks" else rest
