"""What one repository holds of a target now, by names; only what nobody has read yet is read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from backstop.errors import IntegrityError, NotFoundError
from backstop.model.backup import BackupLabel
from backstop.repository.expiring import ExpiringMarks
from backstop.repository.published import Verifications
from backstop.repository.read_ahead import read_ahead
from backstop.repository.recollection import KnownBackup, known_from

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from backstop.model.proof import Proof
    from backstop.repository.catalog import Published, Repository
    from backstop.repository.recollection import Recollection
    from backstop.storage.base import ObjectInfo

_KEPT_AT_A_TIME = 500
_STAMP = ((0, 4), (4, 2), (6, 2), (9, 2), (11, 2), (13, 2))
_NO_PROOFS = Verifications((), ())


@dataclass(slots=True)
class Shelf:
    """One repository.

    :param backups: that are published there, believed, and not being expired.
    :param stored_at: when each label was taken, by the repository's clock.
    :param read: what was read now, for the inventory. :param kept: how many of these it has been told.
    :param unreadable: in words, by name, manifests that nobody can believe.
    :param doubtful: the same of proofs, by label.
    :param missing: were there, and nothing says that anybody expired them; None: not known what they were.
    :param newly_gone: of these and of expired ones, what the inventory does not know to be gone.
    :param expired: gone on purpose, or about to be.
    :param damaged: lack objects, as far as looked for (commands/watch/objects.py).
    """

    repository: Repository
    backups: dict[BackupLabel, KnownBackup] = field(default_factory=dict)
    stored_at: dict[BackupLabel, datetime] = field(default_factory=dict)
    expiring: frozenset[BackupLabel] = frozenset()
    read: list[tuple[Published, tuple[Proof, ...]]] = field(default_factory=list)
    kept: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)
    unreadable_labels: dict[BackupLabel, IntegrityError] = field(default_factory=dict)
    doubtful: dict[BackupLabel, str] = field(default_factory=dict)
    missing: dict[BackupLabel, KnownBackup | None] = field(default_factory=dict)
    newly_gone: list[BackupLabel] = field(default_factory=list)
    expired: frozenset[BackupLabel] = frozenset()
    damaged: frozenset[BackupLabel] = frozenset()

    @property
    def name(self) -> str:
        return self.repository.name


def look_at_shelf(
    repository: Repository,
    recollection: Recollection,
    *,
    again: Callable[[], Recollection],
    keep: Callable[[Shelf], None] = lambda shelf: None,
) -> Shelf:
    """Three listings, and one reading for each manifest, and its proofs, that is new or has changed.

    :param again: recalls once more: what seems to be gone may have been expired since.
    :param keep: called in between, where much is new: a watch that is given up has got on by so much.
    :raises StorageError: the repository does not answer. :raises NotFoundError: it is no repository.
    """
    shelf = Shelf(repository)
    listed = _manifests(shelf)
    proofs = repository.catalog.proof_records.keys()
    shelf.expiring = ExpiringMarks(repository).labels()
    known = recollection.backups.get(repository.name, {})
    stamps = {label: frozenset(map(_stamp, keys)) for label, keys in proofs.items()}
    new = [label for label, info in listed.items() if _is_new(known.get(label), info, stamps.get(label))]
    if new:
        # Once, before several readers ask: without its id no manifest can be believed.
        repository.catalog.repository_id()
    for at in range(0, len(new), _KEPT_AT_A_TIME):
        if at:
            keep(shelf)
        _read(shelf, new[at : at + _KEPT_AT_A_TIME], proofs)
    for label in listed:
        if label in known and label not in shelf.backups and label not in shelf.unreadable_labels:
            shelf.backups[label] = _as_listed(known[label], stamps.get(label, frozenset()))
    for label in shelf.expiring:
        shelf.backups.pop(label, None)
    _find_gone(shelf, listed, recollection, again)
    return shelf


def _manifests(shelf: Shelf) -> dict[BackupLabel, ObjectInfo]:
    catalog = shelf.repository.catalog
    prefix = f"{catalog.target}/meta/manifests/"
    listed: dict[BackupLabel, ObjectInfo] = {}
    for info in shelf.repository.storage.list(prefix):
        name = info.key[len(prefix) :]
        text = name.removesuffix(".json")
        if text == name or not BackupLabel.is_one(text):
            shelf.unreadable[name] = f"{name} is not the name of a manifest"
            continue
        listed[BackupLabel(text)] = info
        shelf.stored_at[BackupLabel(text)] = info.modified_at
    return listed


def _stamp(key: str) -> datetime:
    """When the verification that is recorded under the key ended."""
    text = key.rpartition("/")[2].partition("-")[0]
    try:
        # 20260105T011004000000Z; strptime takes ten times as long.
        year, month, day, hour, minute, second = (int(text[at : at + size]) for at, size in _STAMP)
        return datetime(year, month, day, hour, minute, second, int(text[15:21]), timezone.utc)
    except ValueError:
        return datetime.max.replace(tzinfo=timezone.utc)  # of no proof that is known: it is read


def _is_new(known: KnownBackup | None, info: ObjectInfo, stamps: frozenset[datetime] | None) -> bool:
    """Nothing is known, or it was gone; it has been stored since, or a proof of it that is not known."""
    if known is None or known.gone or known.read_at is None or info.modified_at > known.read_at:
        return True
    return stamps is not None and not stamps <= {proof.finished_at for proof in known.proofs}


def _as_listed(known: KnownBackup, stamps: frozenset[datetime]) -> KnownBackup:
    """Proofs count as long as the repository has them, whatever the inventory remembers."""
    return replace(known, proofs=tuple(proof for proof in known.proofs if proof.finished_at in stamps))


def _read(shelf: Shelf, labels: list[BackupLabel], verified: Container[BackupLabel]) -> None:
    """:param verified: of which there are any proofs."""
    catalog = shelf.repository.catalog

    def read(label: BackupLabel) -> tuple[Published, Verifications] | IntegrityError | None:
        try:
            published = catalog.backup(label)
            return published, catalog.verifications(published) if label in verified else _NO_PROOFS
        except IntegrityError as error:
            return error
        except NotFoundError:
            return None  # expired since the names were listed

    for label, found in zip(labels, read_ahead(labels, read, name="manifests"), strict=True):
        if isinstance(found, IntegrityError):
            shelf.unreadable[label.text] = found.message
            shelf.unreadable_labels[label] = found
        elif found is not None:
            published, verifications = found
            if verifications.unreadable:
                shelf.doubtful[label] = verifications.unreadable[0].message
            shelf.read.append((published, verifications.counting))
            shelf.backups[label] = known_from(published, verifications.counting)


def _find_gone(
    shelf: Shelf,
    listed: Mapping[BackupLabel, ObjectInfo],
    recollection: Recollection,
    again: Callable[[], Recollection],
) -> None:
    name, here = shelf.name, {*listed, *shelf.expiring}
    remembered = recollection.backups.get(name, {})
    seem_gone = {label: known for label, known in remembered.items() if label not in here and not known.gone}
    shelf.expired = recollection.expired.get(name, frozenset())
    if seem_gone:
        shelf.expired |= again().expired.get(name, frozenset())
        for label, known in seem_gone.items():
            if shelf.repository.catalog.has(label):
                continue  # published since the names were listed
            shelf.newly_gone.append(label)
            if label not in shelf.expired:
                shelf.missing[label] = known
    for label in recollection.missing.get(name, ()):
        if label not in here:
            shelf.missing[label] = remembered.get(label)
