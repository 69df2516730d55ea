"""What differs between two backups of a file tree, and what became of one path over all of them."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.commands.staging import staging_directory
from backstop.commands.trees.listing import read_listing
from backstop.errors import BackstopError, NotFoundError
from backstop.model.file_tree import sort_key
from backstop.model.tree_difference import Change, Difference, change_of, changed_fields, differences

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from backstop.crypto.key_encryption import Keyring
    from backstop.model.backup import BackupLabel
    from backstop.model.file_tree import Entry
    from backstop.repository.catalog import Published, Repository


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One path in one backup.

    :param entry: None where the backup does not have it.
    :param change: against the backup before; None: nothing changed.
    :param fields: what changed, as in :class:`~backstop.model.tree_difference.Difference`.
    """

    published: Published
    entry: Entry | None
    change: Change | None
    fields: tuple[str, ...] = ()


@contextmanager
def compared_backups(
    repositories: Sequence[Repository],
    before: BackupLabel,
    after: BackupLabel,
    *,
    keyring: Keyring,
    scratch: Path,
) -> Iterator[Iterator[Difference]]:
    """What differs between two backups of one tree, as it is found; while the block runs.

    Each list is read from the first repository that has the backup; contents are not fetched.

    :param scratch: a folder of this run below it holds the lists meanwhile.
    :raises ConfigurationError: one is no backup of files; :raises NotFoundError: no repository has it.
    """
    with staging_directory(scratch, f"differences-{secrets.token_hex(4)}") as folder:
        yield differences(
            *(
                _entries(repositories, label, keyring=keyring, folder=folder / side)
                for side, label in (("before", before), ("after", after))
            )
        )


def path_history(
    repositories: Sequence[Repository], tree: str, path: bytes, *, keyring: Keyring, scratch: Path
) -> Iterator[Occurrence]:
    """One path in every backup of the tree, oldest first.

    :param path: absolute, with or without the leading ``/``.
    :raises NotFoundError: there is no backup of the tree; :raises BackstopError: no repository answers.
    """
    path = b"/".join(part for part in path.split(b"/") if part)
    before: Entry | None = None
    for repository, published in _backups(repositories, tree):
        with staging_directory(scratch, f"history-{secrets.token_hex(4)}") as folder:
            listing = read_listing(repository, published.manifest, keyring=keyring, folder=folder)
            entry = _found(listing.entries(), path)
        change, fields = _changed(before, entry)
        yield Occurrence(published, entry, change, fields)
        before = entry


def _entries(
    repositories: Sequence[Repository], label: BackupLabel, *, keyring: Keyring, folder: Path
) -> Iterator[Entry]:
    repository, published = _published(repositories, label)
    published.manifest.require_tree()
    folder.mkdir(mode=0o700)
    return read_listing(repository, published.manifest, keyring=keyring, folder=folder).entries()


def _published(repositories: Sequence[Repository], label: BackupLabel) -> tuple[Repository, Published]:
    failed: BackstopError | None = None
    for repository in repositories:
        try:
            return repository, repository.catalog.backup(label)
        except BackstopError as error:
            # Whatever keeps one repository from answering is said, unless another one has the backup.
            failed = failed if failed and not isinstance(failed, NotFoundError) else error
    raise failed or NotFoundError(f"no backup {label}", hint="see `python -m backstop list`")


def _backups(repositories: Sequence[Repository], tree: str) -> list[tuple[Repository, Published]]:
    """Every backup of the tree once, oldest first, with the first repository that has it."""
    found: dict[BackupLabel, tuple[Repository, Published]] = {}
    failures: list[BackstopError] = []
    for repository in repositories:
        try:
            listing = repository.catalog.backups()
        except BackstopError as error:
            failures.append(error)
            continue
        for published in listing.of_tree(tree):
            found.setdefault(published.manifest.label, (repository, published))
    if not found:
        raise (
            failures[0]
            if failures
            else NotFoundError(f"there is no backup of tree {tree}", hint="take one: `back-up-files`")
        )
    return sorted(found.values(), key=lambda one: one[1].manifest.finished_at)


def _found(entries: Iterable[Entry], path: bytes) -> Entry | None:
    key = sort_key(path)
    for entry in entries:
        if entry.path == path:
            return entry
        if entry.sort_key > key:
            return None
    return None


def _changed(before: Entry | None, after: Entry | None) -> tuple[Change | None, tuple[str, ...]]:
    if before is None or after is None:
        return (None if before is after else Change.REMOVED if after is None else Change.ADDED), ()
    fields = changed_fields(before, after)
    return (change_of(fields) if fields else None), fields
