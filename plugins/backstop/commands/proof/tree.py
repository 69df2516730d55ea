"""``verify`` of files: all of them, or a random share, restored into scratch and held against the list."""

from __future__ import annotations

import logging
import secrets
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.commands.proof.objects import missing_objects
from backstop.commands.proof.record import record_proof
from backstop.commands.stopwatch import Stopwatch
from backstop.commands.trees.area import Journal, make_area, refused
from backstop.commands.trees.assemble import Assembly
from backstop.commands.trees.expected import missing_files
from backstop.commands.trees.fetch import ChunkFetcher
from backstop.commands.trees.layout import lay_out_elsewhere
from backstop.commands.trees.listing import read_listing
from backstop.commands.trees.obstacles import refuse_full
from backstop.commands.trees.selection import checked
from backstop.commands.trees.validate import Comparison, count_names
from backstop.errors import BackstopError, IntegrityError, ObjectMissingError
from backstop.files.ownership import Ownership
from backstop.files.shortfalls import Shortfalls
from backstop.model.file_tree import EntryKind
from backstop.model.reencryption import reencrypted_from
from backstop.model.tree_sample import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from backstop.commands.progress import Progress
    from backstop.commands.trees.area import Area
    from backstop.commands.trees.expected import ExpectedFiles
    from backstop.commands.trees.layout import Layout, Placement
    from backstop.commands.trees.listing import TreeListing
    from backstop.crypto.key_encryption import Keyring
    from backstop.crypto.signing import Signer
    from backstop.model.backup import BackupLabel
    from backstop.model.file_tree import Entry
    from backstop.model.proof import Proof
    from backstop.repository.catalog import Published, Repository

log = logging.getLogger(__name__)

_ISOLATION = "restored into a private folder; nothing in it was run"


@dataclass(frozen=True, slots=True)
class TreeVerifySettings:
    """How to verify backups of one tree.

    :param scratch: folder that files are restored below.
    :param share: which part is restored; of the rest it is checked that the objects are there.
    :param seed: what the share is drawn by; empty: another one each time. The proof has it.
    :param jobs: packs and files read at a time.
    :param expected: what the database is asked for; None: nothing.
    """

    scratch: Path
    share: float = 1.0
    seed: str = ""
    jobs: int = 2
    expected: ExpectedFiles | None = None


def verify_tree(
    *,
    repository: Repository,
    label: BackupLabel,
    keyring: Keyring,
    signer: Signer,
    settings: TreeVerifySettings,
    clock: Callable[[], datetime],
    progress: Progress,
) -> Proof:
    """Restore files of one backup from one repository, compare them with its list, record a signed proof.

    A backup that is damaged, lacks objects, or does not restore as listed gets a proof that says so. What
    says nothing about the backup (no key, no network, no disk) is raised, and nothing is recorded. The live
    tree is not looked at.

    :raises ConfigurationError: it is no backup of files; :raises BackstopError: it could not be judged.
    """
    published = repository.catalog.backup(label)
    published.manifest.require_tree()
    # The old one goes for this proof alone: all of it has to be there.
    share = settings.share if reencrypted_from(published.manifest) is None else 1.0
    sample = Sample(share, settings.seed or secrets.token_hex(8))
    return record_proof(
        _TreeVerification(repository, published, keyring, settings, sample, progress),
        published,
        repository=repository,
        signer=signer,
        scratch=settings.scratch,
        clock=clock,
    )


@dataclass(slots=True)
class _TreeVerification:
    """One verification under way, and what it has found so far."""

    repository: Repository
    published: Published
    keyring: Keyring
    settings: TreeVerifySettings
    sample: Sample
    progress: Progress
    watch: Stopwatch = field(default_factory=Stopwatch)
    differences: list[str] = field(default_factory=list)
    checks: dict[str, int | str] = field(default_factory=dict)

    @property
    def isolation(self) -> str:
        return _ISOLATION

    def run(self, folder: Path) -> None:
        try:
            self._judge(folder)
        except (IntegrityError, ObjectMissingError) as error:
            self.differences.append(str(error))

    def _judge(self, folder: Path) -> None:
        manifest = self.published.manifest
        self.checks |= {"share": f"{self.sample.share:g}", "seed": self.sample.seed}
        with self.watch.phase("check"):
            self.differences += missing_objects(self.repository, manifest)
        self.checks["objects"] = len(manifest.objects)
        if self.differences:
            return
        with self.watch.phase("list"):
            (folder / "list").mkdir(mode=0o700)
            listing = read_listing(self.repository, manifest, keyring=self.keyring, folder=folder / "list")
        packs = {one.name for one in manifest.objects if one.layout == "chunks"}
        packs -= {segment.pack for segment in listing.segments}
        drawn = self.sample.packs(packs)
        self._restore(_Drawn(listing, self.sample, drawn), folder)
        self.checks |= {"packs": len(packs), "packs_drawn": len(drawn)}
        if self.settings.expected is not None:
            self._look_for(self.settings.expected, listing)

    def _restore(self, drawn: _Drawn, folder: Path) -> None:
        layout = lay_out_elsewhere(folder / "restored")
        with self.watch.phase("count"):
            need_bytes, need_names = self._count(drawn)
        refuse_full(layout.folders, {0: need_bytes}, {0: need_names})
        journal = Journal(owner="verify", label=self.published.manifest.label.text)
        area = make_area(layout.folders[0].open(), layout.folders[0].path, secrets.token_hex(8), journal)
        with closing(area):
            try:
                self._restore_in(area, layout, drawn, folder)
            except OSError as error:
                raise refused(error, layout.folders[0].path) from error
            finally:
                with self.watch.phase("clean"):
                    area.remove()

    def _restore_in(self, area: Area, layout: Layout, drawn: _Drawn, folder: Path) -> None:
        shortfalls = Shortfalls()
        assembly = Assembly(layout, [area], drawn.roots, Ownership(), shortfalls)
        fetcher = ChunkFetcher(
            self.repository,
            self.published.manifest,
            self.keyring,
            folder,
            self.progress,
            self.settings.jobs,
        )
        with self.watch.phase("restore"):
            assembly.run(drawn.placed(layout), fetcher=fetcher, index=folder / "needs.sqlite")
        self.checks |= {
            "files_restored": assembly.files,
            "entries_restored": assembly.names,
            "bytes_restored": assembly.plain_bytes,
        }
        self.progress.phase("compare", total_bytes=assembly.plain_bytes)
        comparison = Comparison(
            layout, [area], Ownership(), shortfalls.excuses, self.settings.jobs, self.progress
        )
        with self.watch.phase("compare"):
            self.differences += comparison.run(drawn.placed(layout))
            names = count_names([area])
        not_compared = [*shortfalls.sentences()]
        if names is None:
            not_compared.append("some folders are closed to this user: nothing was counted")
        elif names != assembly.names:
            self.differences.append(f"{names} names were restored instead of {assembly.names}")
        if comparison.unreadable:
            not_compared.append(f"{comparison.unreadable} files are closed to this user")
        self.checks["not_compared"] = "; ".join(not_compared) or "nothing was left out"

    def _count(self, drawn: _Drawn) -> tuple[int, int]:
        """Note what is listed; bytes and names that are going to be restored."""
        files, size_bytes = 0, 0
        for entry in drawn.listing.entries():
            files += entry.kind is EntryKind.FILE
            size_bytes += sum(chunk.size_bytes for chunk in entry.chunks)
        self.checks |= {"files": files, "entries": drawn.listing.entries_count, "bytes": size_bytes}
        if self.sample.whole:
            return size_bytes, drawn.listing.entries_count
        sizes = [sum(chunk.size_bytes for chunk in entry.chunks) for entry in drawn.entries()]
        return sum(sizes), len(sizes)

    def _look_for(self, expected: ExpectedFiles, listing: TreeListing) -> None:
        """A warning, never a failed proof: a row newer than the backup expects what that cannot have."""
        try:
            found = missing_files(expected, listing.entries())
        except BackstopError as error:
            log.warning("what files the database expects is not known: %s", error)
            self.checks["expected_files"] = "the database could not be asked"
            return
        self.checks |= {"expected_files": found.expected, "missing_files": found.missing}
        for sentence in found.sentences():
            log.warning("%s", sentence)


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What of a list is restored."""

    listing: TreeListing
    sample: Sample
    packs: frozenset[str]

    @property
    def roots(self) -> frozenset[bytes]:
        return frozenset(root.path.strip(b"/") for root in self.listing.roots)

    def entries(self) -> Iterator[Entry]:
        """:raises IntegrityError: the list is not what a walk of a tree gives."""
        return self.sample.entries(checked(self.listing.entries(), tuple(self.roots)), self.packs)

    def placed(self, layout: Layout) -> Iterator[tuple[Placement, Entry]]:
        for entry in self.entries():
            placement = layout.find(entry.path)
            if placement is not None:
                yield placement, entry
