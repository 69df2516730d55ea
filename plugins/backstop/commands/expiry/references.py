"""Which stored objects some published backup still needs: file trees share packs by reference."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import TYPE_CHECKING

from backstop.errors import IntegrityError

if TYPE_CHECKING:
    from backstop.model.backup import BackupLabel, Manifest


class References:
    """Counts, for every object that more than one backup may name, how many published ones do.

    What a backup of a database stores is named by no other, so of those nothing is remembered but what lies
    elsewhere; of file trees each key once, and four bytes for each time it is named.

    :ivar stored_bytes: by kind of lease, each object once.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._counts = array("I")
        self._named: dict[BackupLabel, array[int]] = {}
        self.stored_bytes: Counter[str] = Counter()

    def add(self, manifest: Manifest) -> None:
        """A published backup, once."""
        own = folder_of(manifest.target, manifest.label)
        kind = manifest.label.lease_kind
        numbers = array("I")
        for stored in manifest.objects:
            if not manifest.label.tree and stored.key.startswith(own):
                self.stored_bytes[kind] += stored.stored_bytes
                continue
            number = self._numbers.get(stored.key)
            if number is None:
                number = self._numbers[stored.key] = len(self._counts)
                self._counts.append(0)
                self.stored_bytes[kind] += stored.stored_bytes
            self._counts[number] += 1
            numbers.append(number)
        self._named[manifest.label] = numbers

    def drop(self, label: BackupLabel) -> None:
        """That backup is published no longer. One that is not known changes nothing."""
        for number in self._named.pop(label, ()):
            self._counts[number] -= 1

    def needed(self, key: str) -> bool:
        """Whether a backup that is still published names the object, of those that may be shared."""
        number = self._numbers.get(key)
        return number is not None and self._counts[number] > 0


def folder_of(target: str, label: BackupLabel) -> str:
    """Where everything lies that the backup stored itself, whatever the attempt."""
    if label.tree:
        return f"{target}/data/trees/{label.tree}/{label}/"
    return f"{target}/data/database/{label}/"


def folders(manifest: Manifest) -> tuple[str, ...]:
    """Where its objects lie, its own folder first.

    :raises IntegrityError: one is nothing that a backup of this target stores: nothing of it may be removed.
    """
    own = folder_of(manifest.target, manifest.label)
    others: set[str] = set()
    for stored in manifest.objects:
        if stored.key.startswith(own):
            continue
        origin = stored.origin
        folder = folder_of(manifest.target, origin)
        if origin.lease_kind != manifest.label.lease_kind or not stored.key.startswith(folder):
            raise IntegrityError(
                f"manifest {manifest.label} of {manifest.target} lists {stored.key!r}, which is no backup's",
                hint="Backstop did not write this manifest; remove it by hand",
            )
        others.add(folder)
    return (own, *sorted(others))
