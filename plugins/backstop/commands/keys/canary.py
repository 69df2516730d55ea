"""A canary: the oldest and the newest of everything is opened as a restore would open it, every night.

That a key is enabled says nothing of who may use it, and a proof of last month nothing of today.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backstop.crypto.envelope import decrypt_stream, object_context
from backstop.errors import BackstopError
from backstop.repository.stored import open_stored
from backstop.repository.wal_names import WalNames

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backstop.crypto.key_encryption import Keyring
    from backstop.model.backup import Manifest, StoredObject
    from backstop.repository.catalog import Repository
    from backstop.storage.base import ObjectInfo


@dataclass(frozen=True, slots=True)
class Opened:
    """One object. :param why: it does not open, in a sentence; empty: it does.

    :param what: ``oldest dump``, ``newest WAL``. :param step: what to do about it.
    """

    repository: str
    what: str
    key: str
    keys: tuple[str, ...] = ()
    why: str = ""
    step: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "repository": self.repository,
            "what": self.what,
            "object": self.key,
            "keys": list(self.keys),
            "error": self.why or None,
        }


def open_canaries(repository: Repository, *, keyring: Keyring) -> Iterator[Opened]:
    """The smallest object of the oldest and of the newest backup of each kind, and so of WAL.

    Of a backup that needs objects of earlier ones, the smallest of the earliest too: an older key wrapped it.
    Where no manifest at all can be believed, that is told: nothing there can be restored.

    :param keyring: of who restores.
    :raises BackstopError: the repository cannot be listed.
    """
    kinds: dict[str, list[Manifest]] = {}
    listing = repository.catalog.backups()
    if listing.unreadable and not listing.backups:
        error = listing.unreadable[0]
        yield Opened(repository.name, "backups", "", why=error.message, step=error.hint)
    for published in listing.backups:
        kinds.setdefault(published.manifest.label.component, []).append(published.manifest)
    for kind, manifests in sorted(kinds.items()):
        for which, manifest in _ends(manifests):
            yield from _open_backup(repository, manifest, f"{which} {kind}", keyring)
    yield from _open_wal(repository, keyring)


def _ends(listed: list[Any]) -> list[tuple[str, Any]]:
    if len(listed) < 2:
        return [("only", one) for one in listed]
    return [("oldest", listed[0]), ("newest", listed[-1])]


def _open_backup(repository: Repository, manifest: Manifest, what: str, keyring: Keyring) -> Iterator[Opened]:
    if not manifest.objects:
        why = f"manifest {manifest.label} lists no object: Backstop did not write it"
        yield Opened(repository.name, what, manifest.label.text, manifest.keys, why, "see who signed it")
    for stored in _smallest(manifest):
        why = step = ""
        try:
            _read(repository, manifest, stored, keyring)
        except BackstopError as error:
            why, step = error.message, error.hint
        yield Opened(repository.name, what, stored.key, manifest.keys, why, step)


def _smallest(manifest: Manifest) -> list[StoredObject]:
    """Of all its objects, and of those of the earliest backup that it refers to."""
    earlier = min(manifest.refers_to, default=manifest.label).text
    of_earliest = [one for one in manifest.objects if f"/{earlier}/" in one.key]
    found: list[StoredObject] = []
    for several in (manifest.objects, of_earliest):
        smallest = min(several, key=lambda one: (one.stored_bytes, one.key), default=None)
        if smallest is not None and smallest not in found:
            found.append(smallest)
    return found


def _read(repository: Repository, manifest: Manifest, stored: StoredObject, keyring: Keyring) -> None:
    context = object_context(manifest.target, stored.origin.text, stored.key)
    with open_stored(repository.storage, stored) as source:
        for _ in decrypt_stream(source, keyring=keyring, context=context, expected=stored):
            pass  # read to its end: only then has all of it authenticated


def _open_wal(repository: Repository, keyring: Keyring) -> Iterator[Opened]:
    target = repository.catalog.target
    systems = WalNames(target, "").all_systems
    oldest: ObjectInfo | None = None
    newest: ObjectInfo | None = None
    for info in repository.storage.list(systems):
        if ".history-" in info.key:
            continue
        oldest = info if oldest is None or info.modified_at < oldest.modified_at else oldest
        newest = info if newest is None or info.modified_at >= newest.modified_at else newest
    listed = [one for one in (oldest, newest) if one is not None]
    if oldest is not None and newest is not None and oldest.key == newest.key:
        listed = listed[:1]
    for which, info in _ends(listed):
        yield _open_segment(repository, info, f"{which} WAL", keyring)


def _open_segment(repository: Repository, info: ObjectInfo, what: str, keyring: Keyring) -> Opened:
    target = repository.catalog.target
    system_id = info.key.removeprefix(WalNames(target, "").all_systems).partition("/")[0]
    names = WalNames(target, system_id)
    stored = names.parse_segment(info)
    if stored is None:
        return Opened(repository.name, what, info.key, why=f"{info.key} is no name of WAL", step="remove it")
    try:
        with repository.storage.open(info.key) as source:
            for _ in decrypt_stream(source, keyring=keyring, context=names.stored_context(stored)):
                pass
    except BackstopError as error:
        return Opened(repository.name, what, info.key, why=error.message, step=error.hint)
    return Opened(repository.name, what, info.key)
