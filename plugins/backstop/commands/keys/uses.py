"""Which key protects what: of backups their manifests say it, of WAL the headers of its objects."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.crypto.header import wrapping_keys
from backstop.crypto.key_encryption import LOCAL_PROVIDER
from backstop.errors import ObjectMissingError
from backstop.model.canonical import format_time
from backstop.model.key_material import material_of
from backstop.repository.hidden import hidden_manifests
from backstop.repository.read_ahead import read_ahead
from backstop.repository.undescribed import unbelieved_manifests

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from typing import Any

    from backstop.model.backup import Manifest
    from backstop.repository.catalog import Repository
    from backstop.storage.base import ObjectInfo, Storage


@dataclass
class KeyUse:
    """What one key opens, in all repositories that were looked at; sizes in bytes, as stored.

    :param alone: backups and WAL objects of which it is the only key: without it, they are lost.
    :param wal: objects of WAL, segments and pieces of growing ones.
    """

    key: str
    backups: int = 0
    alone: int = 0
    stored_bytes: int = 0
    wal: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None
    examples: list[str] = field(default_factory=list)

    @property
    def used(self) -> bool:
        return bool(self.backups or self.wal)

    def take(self, what: str, at: datetime, stored_bytes: int, *, alone: bool) -> None:
        self.stored_bytes += stored_bytes
        self.alone += alone
        self.oldest = at if self.oldest is None else min(self.oldest, at)
        self.newest = at if self.newest is None else max(self.newest, at)
        if len(self.examples) < 3:
            self.examples.append(what)

    def to_dict(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "backups": self.backups,
            "wal_objects": self.wal,
            "only_key_of": self.alone,
            "stored_bytes": self.stored_bytes,
            "oldest": format_time(self.oldest) if self.oldest else None,
            "newest": format_time(self.newest) if self.newest else None,
            "examples": list(self.examples),
        }


class KeyUses:
    """Counts, repository by repository.

    :param wal: read the head of every object of WAL too; else what stands in manifests is all.
    :param wal_since: WAL stored before that is not asked: nothing older than a key was wrapped with it.
    """

    def __init__(self, *, wal: bool = True, wal_since: datetime | None = None) -> None:
        self._wal = wal
        self._wal_since = wal_since
        self._uses: dict[str, KeyUse] = {}
        self._wal_by_material: Counter[str] = Counter()
        self.unread: list[str] = []
        """What could not be looked at, in sentences: then no key can be said to be free."""

    def look_at(self, repository: Repository, target: str) -> None:
        """:raises NotFoundError: it is none. :raises StorageError: it cannot be listed, or read."""
        repository.catalog.repository_id()
        for one in repository.catalog.each():
            if isinstance(one, Exception):
                self.unread.append(f"{repository.name}: {one}")
            else:
                self._take_backup(one.manifest)
        self._look_at_wal(repository.storage, target)

    def look_at_undescribed(self, storage: Storage, target: str, *, name: str) -> None:
        """The same of a target that nobody describes any more, so that nobody knows whom it trusted.

        :param name: of the repository. :raises StorageError: it cannot be listed, or read.
        """
        for one in unbelieved_manifests(storage, target):
            if isinstance(one, Exception):
                self.unread.append(f"{name}: {one}")
            else:
                self._take_backup(one)
        self._look_at_wal(storage, target)

    def _look_at_wal(self, storage: Storage, target: str) -> None:
        if not self._wal:
            return
        listed = (
            info
            for prefix in (f"{target}/data/wal/", f"{target}/tail/")
            for info in storage.list(prefix)
            if self._wal_since is None or info.modified_at >= self._wal_since
        )
        self._take_wal(storage, listed)

    def look_for_hidden(self, repository: Repository) -> None:
        """Manifests that somebody deleted, and that can be had back: they may need any key.

        :raises StorageError: this role may not list versions.
        """
        known = {label for label, _ in repository.catalog.labels()}
        self.unread += [
            f"{repository.name}: {one.message}" for one in hidden_manifests(repository, known=known)
        ]

    def of(self, key: str) -> KeyUse:
        """What that key opens; nothing, perhaps."""
        return self._uses.get(key) or KeyUse(key)

    def wal_under(self, key: str) -> int:
        """How many objects of WAL that key opens, or a replica of it."""
        return self._wal_by_material[material_of(key)]

    def all(self) -> Mapping[str, KeyUse]:
        """By key, as manifests name them."""
        return dict(sorted(self._uses.items()))

    def _take_backup(self, manifest: Manifest) -> None:
        for key in manifest.keys:
            use = self._uses.setdefault(key, KeyUse(key))
            use.backups += 1
            alone = not any(_stands_in(one, key) for one in manifest.keys)
            use.take(manifest.label.text, manifest.finished_at, manifest.stored_bytes, alone=alone)

    def _take_wal(self, storage: Storage, listed: Iterable[ObjectInfo]) -> None:
        def look(info: ObjectInfo) -> tuple[ObjectInfo, tuple[str, ...] | None]:
            try:
                with storage.open(info.key) as source:
                    return info, wrapping_keys(source, name=info.key)
            except ObjectMissingError:  # removed meanwhile
                return info, None

        for info, keys in read_ahead(listed, look, name="header"):
            self._wal_by_material.update({material_of(key) for key in keys or ()})
            for key in keys or ():
                use = self._uses.setdefault(key, KeyUse(key))
                use.wal += 1
                alone = len(keys or ()) == 1
                use.take(info.key.rpartition("/")[2], info.modified_at, info.size_bytes, alone=alone)


def _stands_in(other: str, key: str) -> bool:
    """Whether what `key` wrapped is wrapped by the other, too: of a ring, one key wraps at a time.

    A backup of a file tree may need several of a ring: each for packs of its own time.
    """
    ring = f"{LOCAL_PROVIDER}/"
    return other != key and not (other.startswith(ring) and key.startswith(ring))
