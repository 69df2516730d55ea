"""``restore-files``: plan, restore beside the live files, validate, swap; and the way back.

Until the swap nothing live is touched. What is restored lies in a private folder next to what it will replace
(:mod:`.area`), so that the swap is renames alone.
"""

from __future__ import annotations

import logging
import os
import secrets
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from backstop.commands.database.fetch import refuse_taken, refuse_unless_present
from backstop.commands.staging import staging_directory, sweep_staging
from backstop.commands.stopwatch import Stopwatch
from backstop.commands.trees.area import RESTORED, VALIDATED, Area, Journal, make_area, refused, sweep
from backstop.commands.trees.assemble import Assembly
from backstop.commands.trees.changes import Changes, compare_live
from backstop.commands.trees.fetch import ChunkFetcher
from backstop.commands.trees.layout import Folder, Layout, lay_out_elsewhere, lay_out_in_place
from backstop.commands.trees.links import with_content
from backstop.commands.trees.listing import TreeListing, read_listing
from backstop.commands.trees.obstacles import (
    refuse_absent,
    refuse_foreign_roots,
    refuse_full,
    refuse_unwritable,
    refuse_without_room,
    warn_of_left_out,
)
from backstop.commands.trees.plan import RestoredTree, TreeRestorePlan, TreeSwapOutcome
from backstop.commands.trees.register import forget, remember, remembered
from backstop.commands.trees.selection import Selection
from backstop.commands.trees.staged import layout_of, live_folder, restored_journal
from backstop.commands.trees.swap import opened
from backstop.commands.trees.swap_in import swap_in, undo_swap
from backstop.commands.trees.validate import Comparison, count_names
from backstop.errors import RestoreError
from backstop.files.mounts import mount_points
from backstop.files.names import staging_name
from backstop.files.ownership import Ownership
from backstop.files.shortfalls import Shortfalls
from backstop.model.canonical import format_time
from backstop.model.file_tree import shown
from backstop.repository.pins import pin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from backstop.commands.progress import Progress
    from backstop.commands.trees.settings import TreeRestoreSettings
    from backstop.crypto.key_encryption import Keyring
    from backstop.model.backup import BackupLabel, Manifest
    from backstop.repository.catalog import Repository

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Opened:
    """A backup that is being read, and what of it is wanted."""

    manifest: Manifest
    listing: TreeListing
    selection: Selection
    fetcher: ChunkFetcher
    folder: Path


@dataclass(slots=True)
class TreeRestore:
    """One backup of a file tree on its way back, from one repository to this machine.

    :param holder: how marks against expiry name it.
    """

    repository: Repository
    label: BackupLabel
    keyring: Keyring
    settings: TreeRestoreSettings
    clock: Callable[[], datetime]
    progress: Progress
    watch: Stopwatch = field(default_factory=Stopwatch)
    holder: str = "restore"
    unread: int = 0
    """Files that the last :meth:`validate` could not read again: their mode keeps this user from it."""

    def plan(self, *, only: Sequence[str] = (), destination: Path | None = None) -> TreeRestorePlan:
        """Look at everything that could stop the restore, change nothing: a dry run is this.

        :param only: absolute paths and globs as they are in the tree; a folder stands for all below it.
        :param destination: a folder that does not exist, or is empty, for everything under its whole path;
            None: in place.
        :raises RestoreError: it cannot work, and why. :raises NotFoundError: the backup has none of it.
        :raises BackstopError: the backup cannot be read or opened.
        """
        published = self.repository.catalog.backup(self.label)
        verifications = self.repository.catalog.verifications(published)
        owner = Ownership.parse(self.settings.owner)
        changes = Changes()
        with self._opened(only) as backup:
            layout = self._lay_out(backup, destination)
            warnings = [*layout.warnings, *refuse_unwritable(layout.folders)]
            entries = with_content(backup.listing, backup.selection, layout)
            compare_live(changes, entries, layout, owner)
            refuse_absent(
                backup.selection, self.label.text, found=bool(changes.need_names or layout.in_place)
            )
            stored = backup.fetcher.stored(sorted(changes.packs))
            refuse_unless_present(self.repository, replace(backup.manifest, objects=tuple(stored)))
            refuse_full(layout.folders, changes.need_bytes, changes.need_names)
            largest = max((one.plain_bytes for one in stored), default=0)
            refuse_without_room(os.fsencode(backup.folder), largest * self.settings.jobs)
            if changes.deletes:
                warnings += warn_of_left_out(backup.listing.exclude)
        return TreeRestorePlan(
            target=published.manifest.target,
            tree=self.label.tree,
            repository=self.repository.name,
            label=self.label.text,
            snapshot_at=format_time(published.manifest.snapshot_at),
            proven_at=format_time(verifications.proofs[-1].finished_at) if verifications.proven else None,
            only=tuple(only),
            destination=str(destination) if destination else None,
            places=tuple(shown(folder.path.strip(b"/")) for folder in layout.folders),
            adds=changes.adds,
            changes=changes.changes,
            deletes=changes.deletes,
            samples=tuple(changes.samples),
            files=changes.files,
            plain_bytes=changes.plain_bytes,
            stored_bytes=sum(one.stored_bytes for one in stored),
            warnings=(*warnings, *verifications.doubts()),
        )

    def restore_beside(self, plan: TreeRestorePlan) -> RestoredTree:
        """Restore what was planned into private folders; what an earlier try left is cleared away.

        :raises IntegrityError: the backup is damaged, or was not written by Backstop; nothing is left behind.
        :raises RestoreError: it cannot be written here.
        """
        token, owner, shortfalls = secrets.token_hex(8), Ownership.parse(self.settings.owner), Shortfalls()
        destination = Path(plan.destination) if plan.destination else None
        with self._opened(plan.only) as backup, ExitStack() as stack:
            layout = self._lay_out(backup, destination)
            notes = self._sweep(layout)
            areas: list[Area] = []
            places = [folder.to_text() for folder in layout.folders]
            remember(self.settings.scratch, token, places)
            try:
                for folder in layout.folders:
                    areas.append(make_area(live_folder(folder), folder.path, token, self._journal()))
                    stack.callback(areas[-1].close)
                assembly = Assembly(layout, areas, frozenset(backup.selection.roots), owner, shortfalls)
                entries = with_content(backup.listing, backup.selection, layout)
                with self.watch.phase("restore"):
                    assembly.run(entries, fetcher=backup.fetcher, index=backup.folder / "needs.sqlite")
                areas[0].excuse(shortfalls.excuses)
                for number, area in enumerate(areas):
                    area.write(restored_journal(layout, number, area))
            except BaseException as error:
                for area in areas:
                    area.remove()
                forget(self.settings.scratch, token)
                if isinstance(error, OSError):
                    raise refused(error, layout.folders[0].path) from error
                raise
        return RestoredTree(
            label=self.label.text,
            token=token,
            places=tuple(places),
            only=tuple(plan.only),
            destination=plan.destination,
            files=assembly.files,
            names=assembly.names,
            plain_bytes=assembly.plain_bytes,
            not_set=shortfalls.sentences(),
            notes=tuple(notes),
            seconds=self.watch.seconds(),
        )

    def validate(self, restored: RestoredTree) -> tuple[str, ...]:
        """Read everything again and compare it with the list of files: every hash, all metadata.

        :returns: differences, one sentence each; a swap is possible only after there were none.
        :raises RestoreError: the restored copy is gone.
        """
        with self._opened(restored.only) as backup, ExitStack() as stack:
            folders = [Folder.from_text(place) for place in restored.places]
            areas = [stack.enter_context(opened(folder, restored.token)) for folder in folders]
            layout = layout_of(folders, areas, elsewhere=restored.destination is not None)
            owner = Ownership.parse(self.settings.owner)
            comparison = Comparison(
                layout, areas, owner, areas[0].excuses(), self.settings.jobs, self.progress
            )
            self.progress.phase("compare", total_bytes=restored.plain_bytes)
            with self.watch.phase("compare"):
                found = comparison.run(with_content(backup.listing, backup.selection, layout))
                names = count_names(areas)
            if names is None:
                log.warning("some folders cannot be looked into again by this user")
            elif names != restored.names:
                found += (f"there are {names} files of any kind instead of {restored.names}",)
            for area in areas:
                area.advance(RESTORED if found else VALIDATED)
        self.unread = comparison.unreadable
        if comparison.unreadable:
            log.warning("%d files cannot be read again by this user", comparison.unreadable)
        return found

    def swap(self, restored: RestoredTree) -> TreeSwapOutcome:
        """Exchange what was validated for what is live; then, in place, run ``after_restore``.

        :raises RestoreError: nothing was exchanged.
        :raises TreeSwapError: ``after_restore`` failed; says which files are live now, and has the outcome.
        """
        return swap_in(restored, settings=self.settings, clock=self.clock)

    def undo(self, outcome: TreeSwapOutcome) -> TreeSwapOutcome:
        """Exchange the same names again, and run ``after_restore``; to undo this, undo what it returns."""
        return undo_swap(outcome, settings=self.settings, clock=self.clock)

    def discard(self, restored: RestoredTree) -> None:
        """Remove what was restored and is not wanted; what is live stays."""
        for place in restored.places:
            with opened(Folder.from_text(place), restored.token) as area:
                area.remove()
        forget(self.settings.scratch, restored.token)

    def _lay_out(self, backup: _Opened, destination: Path | None) -> Layout:
        if destination is not None:
            refuse_taken(destination)
            return lay_out_elsewhere(destination)
        refuse_foreign_roots(backup.selection, self.settings.patterns)
        return lay_out_in_place(
            backup.selection,
            patterns=self.settings.patterns,
            exclude=backup.listing.exclude,
            points=mount_points(),
        )

    def _journal(self) -> Journal:
        return Journal(owner=f"{self.repository.catalog.target}/{self.label.tree}", label=self.label.text)

    def _sweep(self, layout: Layout) -> list[str]:
        """Clear what earlier restores of this tree left, wherever they made it."""
        owner, scratch = self._journal().owner, self.settings.scratch
        earlier = list(remembered(scratch))
        places = dict.fromkeys(folder.to_text() for folder in layout.folders)
        places.update(dict.fromkeys(place for _, others in earlier for place in others))
        notes: list[str] = []
        for folder in map(Folder.from_text, places):
            # A folder that is gone has nothing left in it.
            with suppress(OSError, RestoreError):
                live = folder.open()
                try:
                    notes += sweep(live, folder.path, owner)
                finally:
                    os.close(live)
        for token, others in earlier:
            left = [Folder.from_text(place).path + b"/" + staging_name(token) for place in others]
            if not any(map(os.path.lexists, left)):
                forget(scratch, token)
        return notes

    @contextmanager
    def _opened(self, only: Sequence[str]) -> Iterator[_Opened]:
        """The backup's list, for as long as it is needed; expiry keeps away meanwhile."""
        manifest = self.repository.catalog.backup(self.label).manifest
        manifest.require_tree()
        sweep_staging(self.settings.scratch)
        name = f"restore-{self.label}-{secrets.token_hex(4)}"
        with (
            pin(self.repository.storage, manifest.target, self.label, holder=self.holder, clock=self.clock),
            staging_directory(self.settings.scratch, name) as folder,
        ):
            with self.watch.phase("list"):
                listing = read_listing(self.repository, manifest, keyring=self.keyring, folder=folder)
            fetcher = ChunkFetcher(
                self.repository,
                manifest,
                self.keyring,
                folder,
                self.progress,
                self.settings.jobs,
                hash_packs=False,
            )
            yield _Opened(manifest, listing, Selection(listing, only), fetcher, folder)
