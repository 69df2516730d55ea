"""What backups name: everything that is not an orphan."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backstop.errors import IntegrityError, ObjectMissingError
from backstop.model.backup import BackupLabel
from backstop.repository.hidden import hidden_manifests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backstop.repository.catalog import Repository


@dataclass(slots=True)
class Named:
    """Keys that manifests name, and what is being expired by whoever does that.

    Of a key its hash is kept: there may be millions. That two keys share one only makes an orphan stay.

    :param labels: backups that have a manifest, readable or not.
    :param going: backups that are being expired.
    :param unreadable: manifests that cannot be trusted: while there is one, nobody knows what is an orphan.
    """

    labels: set[BackupLabel] = field(default_factory=set)
    going: set[BackupLabel] = field(default_factory=set)
    unreadable: list[IntegrityError] = field(default_factory=list)
    _keys: set[int] = field(default_factory=set)

    def has(self, key: str) -> bool:
        return hash(key) in self._keys

    def add(self, key: str) -> None:
        self._keys.add(hash(key))


def named_objects(repository: Repository, *, lease: str | None = None) -> Named:
    """:param lease: only what backups under this lease may name: nobody else can be publishing them."""
    found = Named()
    storage, target = repository.storage, repository.catalog.target
    expiring = f"{target}/meta/expiring/"
    for info in storage.list(expiring):
        name = info.key[len(expiring) :].removesuffix(".json")
        if BackupLabel.is_one(name):
            found.going.add(BackupLabel(name))
        for key in _mentioned(_read(repository, info.key), f"{target}/"):
            found.add(key)
    for label, _ in repository.catalog.labels():
        found.labels.add(label)
    found.unreadable += hidden_manifests(repository, known=found.labels | found.going)
    for published in repository.catalog.each(wanted=lambda label: lease in (None, label.lease_kind)):
        if isinstance(published, IntegrityError):
            found.unreadable.append(published)
            continue
        for stored in published.manifest.objects:
            found.add(stored.key)
    return found


def _read(repository: Repository, key: str) -> Any:
    try:
        return json.loads(repository.storage.read(key, max_bytes=2**31))
    except (ValueError, ObjectMissingError):
        return None


def _mentioned(document: Any, prefix: str) -> Iterator[str]:
    """Every key in it, whatever form it has: nobody but expiry goes near what expiry has begun with."""
    if isinstance(document, str) and document.startswith(prefix):
        yield document
    elif isinstance(document, dict):
        for value in document.values():
            yield from _mentioned(value, prefix)
    elif isinstance(document, list):
        for value in document:
            yield from _mentioned(value, prefix)
