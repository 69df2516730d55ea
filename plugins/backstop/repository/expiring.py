"""What is being expired: ``<target>/meta/expiring/<label>.json``.

Put before anything of a backup goes, removed after everything has: what an interrupted expiry began is known
from the repository alone. It holds the whole manifest, so that what is left can be told once that has gone,
and so that it can be put back as long as nothing else has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.errors import IntegrityError, ObjectMissingError
from backstop.model.backup import BackupLabel
from backstop.model.canonical import canonical_json
from backstop.model.format_version import known_version
from backstop.repository.manifest_files import json_object

if TYPE_CHECKING:
    from backstop.repository.catalog import Published, Repository
    from backstop.storage.base import Undeleted

_FORMAT = 1
_MOST_BYTES = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Begun:
    """An expiry that was begun; ``published`` is None when its mark cannot be believed, with the reason."""

    label: BackupLabel
    published: Published | None
    error: IntegrityError | None = None


class ExpiringMarks:
    """The marks of one target in one repository."""

    def __init__(self, repository: Repository) -> None:
        self._storage = repository.storage
        self._catalog = repository.catalog
        self._prefix = f"{repository.catalog.target}/meta/expiring/"

    def begin(self, published: Published) -> None:
        """Say that this backup is about to go. Again for the same manifest is success."""
        document = {
            "format": _FORMAT,
            "label": published.manifest.label.text,
            "manifest": published.manifest.to_dict(),
            "manifest_sha256": published.sha256,
        }
        self._storage.put_once(self._key(published.manifest.label), canonical_json(document))

    def labels(self) -> frozenset[BackupLabel]:
        """Backups whose removal has begun: their objects may be gone any moment. No mark is read."""
        listed = self._storage.list(self._prefix)
        names = (info.key[len(self._prefix) :].removesuffix(".json") for info in listed)
        return frozenset(BackupLabel(name) for name in names if BackupLabel.is_one(name))

    def all(self) -> tuple[Begun, ...]:
        """What was begun and has not ended, by label.

        :raises IntegrityError: something lies there that names no backup.
        """
        found = []
        for info in self._storage.list(self._prefix):
            name = info.key[len(self._prefix) :].removesuffix(".json")
            if not BackupLabel.is_one(name):
                raise IntegrityError(
                    f"{self._storage.location}/{info.key} is nothing that expiry wrote",
                    hint="find out who did, then remove it by hand",
                )
            found.append(BackupLabel(name))
        return tuple(one for label in sorted(found) if (one := self.find(label)))

    def find(self, label: BackupLabel) -> Begun | None:
        """The mark on this backup, believed only when its manifest is signed and of this repository."""
        key = self._key(label)
        try:
            body = self._storage.read(key, max_bytes=_MOST_BYTES)
        except ObjectMissingError:
            return None
        try:
            known_version(json_object(body, key), what=key)
            return Begun(label, self._catalog.manifest_within(body, label, where=key))
        except IntegrityError as error:
            return Begun(label, None, error)

    def remove(self, label: BackupLabel) -> tuple[Undeleted, ...]:
        """The last step. :returns: what the storage has locked of it: then the next expiry tries again."""
        doomed = self._storage.versions_of(self._key(label))
        return self._storage.delete_many((one.key, one.version_id) for one in list(doomed))

    def _key(self, label: BackupLabel) -> str:
        return f"{self._prefix}{label}.json"
