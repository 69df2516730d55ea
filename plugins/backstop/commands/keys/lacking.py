"""Which backups a key does not open that new ones are wrapped with: an offline key, one in another region."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backstop.crypto.header import wrapping_keys
from backstop.model.canonical import format_time
from backstop.model.key_material import is_among
from backstop.repository.stored import open_stored

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from backstop.model.backup import Manifest
    from backstop.model.backup_label import BackupLabel
    from backstop.repository.catalog import Repository


@dataclass
class Lack:
    """What one key does not open. :param examples: labels and repositories, the newest first."""

    key: str
    backups: int = 0
    newest: datetime | None = None
    examples: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "backups": self.backups,
            "newest": format_time(self.newest) if self.newest else None,
            "examples": list(self.examples),
        }


def find_lacking(repository: Repository, wanted: Sequence[str], *, heads: bool) -> dict[str, list[Manifest]]:
    """By wanted key, the backups of which it does not open all.

    A backup of a file tree refers to packs of earlier ones: what these lack, it lacks. Manifests say it; of
    packs whose own backup has expired, only their heads.

    :param heads: read those; payload, so the auditor may not.
    :raises StorageError: it cannot be listed, or read.
    """
    manifests = {
        one.manifest.label: one.manifest
        for one in repository.catalog.each()
        if not isinstance(one, Exception)
    }
    read: dict[str, tuple[str, ...]] = {}
    found: dict[str, list[Manifest]] = {key: [] for key in wanted}
    for manifest in manifests.values():
        holders = [set(manifest.keys)]
        for origin in manifest.refers_to:
            if origin in manifests:
                holders.append(set(manifests[origin].keys))
            elif heads:
                holders += _heads(repository, manifest, origin, read)
        for key in wanted:
            if not all(is_among(key, keys) for keys in holders):
                found[key].append(manifest)
    return found


def summarize(found: Iterable[tuple[str, dict[str, list[Manifest]]]]) -> list[Lack]:
    """One line a key that lacks something, over all repositories. :param found: repository and finds."""
    lacks: dict[str, Lack] = {}
    each = ((name, key, one) for name, keys in found for key, several in keys.items() for one in several)
    for name, key, manifest in sorted(each, key=lambda one: one[2].finished_at, reverse=True):
        lack = lacks.setdefault(key, Lack(key))
        lack.backups += 1
        lack.newest = lack.newest or manifest.finished_at
        if len(lack.examples) < 3:
            lack.examples.append(f"{manifest.label.text} in {name}")
    return list(lacks.values())


def _heads(
    repository: Repository, manifest: Manifest, origin: BackupLabel, read: dict[str, tuple[str, ...]]
) -> list[set[str]]:
    several = []
    for stored in manifest.objects:
        if stored.origin != origin:
            continue
        if stored.key not in read:
            with open_stored(repository.storage, stored) as source:
                read[stored.key] = wrapping_keys(source, name=stored.key)
        several.append(set(read[stored.key]))
    return several
