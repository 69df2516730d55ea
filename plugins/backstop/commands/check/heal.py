"""Puts a good copy in the place of a damaged object.

Ciphertext is the same in every repository, so a copy is good when its SHA-256 is the one that this
repository's own signed manifest names. WAL is named by its plaintext: a copy is good when it opens, and holds
what its name says.

In this order, each step durable before the next: a copy elsewhere is read, compared and staged here; the
object is read once more, lest a slip on the way to us costs a good one; it is removed; the copy is stored; it
is read back. A death in between leaves it missing, which the next check finds and heals; WAL, which no
manifest names, is noted first. Nothing is removed while no good copy lies here.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.commands.check.reread import HIDDEN, MISSING, Reader
from backstop.commands.check.wanted import wal_objects
from backstop.errors import (
    BackstopError,
    IntegrityError,
    KeyUnavailableError,
    NotFoundError,
    ObjectConflictError,
    StorageError,
    StorageUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from backstop.commands.check.wanted import Wanted
    from backstop.commands.progress import Progress
    from backstop.crypto.key_encryption import Keyring
    from backstop.model.backup import BackupLabel, StoredObject
    from backstop.repository.catalog import Repository


@dataclass(frozen=True, slots=True)
class Healed:
    """What became of one damaged object.

    :param source: name of the repository with the good copy; empty: it was not healed.
    :param why_not: a sentence.
    """

    source: str = ""
    why_not: str = ""


class Healer:
    """Heals objects of one repository from others of the same target.

    :param before_removal: called right before a damaged object is removed; raises when our lease is lost.
    :param folder: private; copies lie there for the time being.
    """

    def __init__(
        self,
        repository: Repository,
        others: Sequence[Repository],
        *,
        keyring: Keyring | None,
        folder: Path,
        before_removal: Callable[[Wanted], None],
        progress: Progress,
    ) -> None:
        self._repository = repository
        self._others = others
        self._keyring = keyring
        self._folder = folder
        self._before_removal = before_removal
        self._progress = progress
        self._reader = self._reading(repository)

    def heal(self, wanted: Wanted, what: str, needed_by: Sequence[BackupLabel]) -> Healed:
        """Heal it if a good copy can be had.

        A removal that the storage refuses (a lock, a role without the right) leaves everything as it was.

        :param what: is wrong with it. :param needed_by: backups in whose manifests elsewhere to look for it.

        :raises StorageUnavailableError: this repository does not answer.
        :raises LeaseLostError: somebody else heals here now.
        """
        try:
            return self._heal(wanted, what, needed_by)
        except StorageUnavailableError:
            raise
        except StorageError as error:
            return Healed(why_not=error.message)

    def _heal(self, wanted: Wanted, what: str, needed_by: Sequence[BackupLabel]) -> Healed:
        staged = self._folder / f"heal-{secrets.token_hex(8)}"
        reasons: list[str] = []
        try:
            if what == HIDDEN and self._reader.problem(wanted, into=staged) is None:
                self._show(wanted, staged)
                return Healed(source=self._repository.name)
            staged.unlink(missing_ok=True)
            for other in self._others:
                try:
                    copy = self._stage(wanted, needed_by, other, staged)
                except BackstopError as error:
                    reasons.append(f"{other.name}: {error.message}")
                    staged.unlink(missing_ok=True)
                else:
                    return self._replace(wanted, copy, staged, other.name)
        finally:
            staged.unlink(missing_ok=True)
        return Healed(why_not="; ".join(reasons) or "there is no other repository")

    def _stage(
        self, wanted: Wanted, needed_by: Sequence[BackupLabel], other: Repository, staged: Path
    ) -> Wanted:
        """What is staged now, as it lies there.

        :raises BackstopError: that repository has no good copy.
        """
        if wanted.is_wal and self._keyring is None:
            raise KeyUnavailableError(
                "without the key ring no copy of WAL can be judged", hint="check where the key ring is"
            )
        copy = self._copy_in(other, wanted, needed_by)
        if copy is None:
            raise NotFoundError("it has no copy", hint="bring the repositories in step, then check again")
        problem = self._reading(other).problem(copy, into=staged)
        if problem is not None:
            raise IntegrityError(f"its copy {problem}", hint="look for a good copy in yet another repository")
        return copy

    def _copy_in(self, other: Repository, wanted: Wanted, needed_by: Sequence[BackupLabel]) -> Wanted | None:
        """Where the same object lies there; of another repository only its trusted manifests are believed."""
        if wanted.is_wal:
            return next((one for one in wal_objects(other, wanted.key) if one.key == wanted.key), None)
        for label in needed_by:
            for stored in _objects(other, label):
                if (stored.key, stored.stored_sha256) == (wanted.key, wanted.stored_sha256):
                    # Our own manifest decides what it must be; theirs only says where it lies.
                    return wanted._replace(version_id=stored.version_id)
        return None

    def _replace(self, wanted: Wanted, copy: Wanted, staged: Path, source: str) -> Healed:
        storage = self._repository.storage
        problem = self._reader.problem(wanted)
        if problem is None:
            return Healed(source=self._repository.name)  # it was a slip, or somebody has healed it meanwhile
        self._before_removal(wanted)
        if problem != MISSING:
            version_id = wanted.version_id
            if version_id is None and (found := storage.stat(wanted.key)) is not None:
                version_id = found.version_id
            storage.delete(wanted.key, version_id=version_id)
        # Of WAL no manifest knows the size of the ciphertext; another writer's has another.
        right = wanted._replace(stored_bytes=copy.stored_bytes)
        try:
            storage.upload(wanted.key, staged)
        except ObjectConflictError:
            # Another version has the name: one from before ours, or one that somebody has put over it. It is
            # hidden, not destroyed: where there are versions, this leaves a mark that it is deleted.
            if self._reader.problem(right) is None:
                return Healed(source=source)
            storage.delete(wanted.key)
            storage.upload(wanted.key, staged)
        problem = self._reader.problem(right)
        if problem is not None:
            raise IntegrityError(
                f"{storage.location}/{wanted.key} was stored anew and {problem}",
                hint="do not trust this storage with backups: check its disk",
            )
        return Healed(source=source)

    def _show(self, wanted: Wanted, staged: Path) -> None:
        """Make it current again. What lies over it is hidden in its turn, for whoever wants to know."""
        storage = self._repository.storage
        self._before_removal(wanted)
        if storage.stat(wanted.key) is not None:
            storage.delete(wanted.key)
        storage.upload(wanted.key, staged)

    def _reading(self, repository: Repository) -> Reader:
        return Reader(
            repository.storage,
            target=repository.catalog.target,
            keyring=self._keyring,
            advance=self._progress.advance,
        )


def _objects(repository: Repository, label: BackupLabel) -> Iterator[StoredObject]:
    try:
        yield from repository.catalog.backup(label).manifest.objects
    except (NotFoundError, IntegrityError):
        return
