"""A file tree as it is now against its newest published backup."""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from backstop.commands.staging import staging_directory, sweep_staging
from backstop.commands.trees.change_detection import Changes, KnownContent, find_changes
from backstop.commands.trees.listing import read_listing
from backstop.commands.trees.newest import NewestBackup
from backstop.files.exclusion import Exclusion
from backstop.files.scan import find_roots, scan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from backstop.commands.trees.listing import TreeListing
    from backstop.crypto.key_encryption import Keyring
    from backstop.files.scan import Scanned
    from backstop.model.backup import BackupLabel
    from backstop.model.file_tree import Entry
    from backstop.repository.catalog import Repository


@dataclass(frozen=True)
class WatchedTree:
    """What belongs to a tree, and who has its backups.

    :param repositories: those of the tree; one that answers is enough.
    :param staging: where the newest backup's list of files is kept meanwhile.
    """

    name: str
    repositories: Sequence[Repository]
    keyring: Keyring
    staging: Path
    patterns: Sequence[str]
    exclude: Sequence[str] = ()
    one_file_system: bool = False

    @cached_property
    def left_out(self) -> Callable[[bytes], bool]:
        """Whether an absolute path inside the tree is excluded, with what is below it."""
        exclusion = Exclusion(self.exclude)
        return lambda path: exclusion.covers(path.strip(b"/"), path.rpartition(b"/")[2])

    def workspace(self) -> AbstractContextManager[Path]:
        """A folder for the list; :raises StorageError: it cannot be made."""
        sweep_staging(self.staging)
        return staging_directory(self.staging, f"watch-{self.name}-{secrets.token_hex(4)}")


class Comparison:
    """Compares again and again; the list of files is fetched when there is another backup.

    :param folder: for that list.
    """

    def __init__(self, tree: WatchedTree, folder: Path) -> None:
        self._tree = tree
        self._folder = folder
        self._newest = NewestBackup(tree.repositories, tree.name)
        self._label: BackupLabel | None = None
        self._listing: TreeListing | None = None
        self._known = KnownContent()

    def compare(self) -> Changes:
        """What a backup would find.

        :raises SourceError: a path of the tree does not exist.
        :raises BackstopError: no repository answers, or no key opens the list.
        """
        roots = find_roots(self._tree.patterns)
        listing = self._newest_listing()
        if listing is None:
            return Changes(added=1, sample=("there is no backup yet",), state="no backup")

        def look(on_removed: Callable[[Entry], object]) -> Iterator[Scanned]:
            return scan(
                roots,
                exclude=self._tree.exclude,
                one_file_system=self._tree.one_file_system,
                previous=listing.lines(),
                on_skip=lambda _: None,
                on_removed=on_removed,
            )

        return find_changes(look, known=self._known)

    def _newest_listing(self) -> TreeListing | None:
        newest = self._newest.find()
        if newest is None:
            self._label = self._listing = None
            return None
        repository, published = newest
        label = published.manifest.label
        if label != self._label:
            self._label = self._listing = None
            shutil.rmtree(self._folder / "list", ignore_errors=True)
            folder = self._folder / "list"
            folder.mkdir(mode=0o700)
            self._listing = read_listing(
                repository, published.manifest, keyring=self._tree.keyring, folder=folder
            )
            self._label, self._known = label, KnownContent()
        return self._listing


def changes_since_newest(tree: WatchedTree) -> Changes:
    """One comparison; see :meth:`Comparison.compare`."""
    with tree.workspace() as folder:
        return Comparison(tree, folder).compare()
