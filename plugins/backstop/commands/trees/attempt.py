"""One backup of a file tree: look, read what is new, upload, publish; or leave nothing behind."""

from __future__ import annotations

import io
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop import __version__
from backstop.commands.backup_report import TreeBackupReport
from backstop.commands.object_writer import ObjectWriter
from backstop.commands.replicate import Replication
from backstop.commands.staging import staging_directory
from backstop.commands.trees.capture import TreeCapture
from backstop.commands.trees.list_writer import ListWriter, Segment
from backstop.commands.trees.listing import NAME, listing_document
from backstop.commands.trees.packs import PackWriter
from backstop.commands.trees.pieces import Pieces
from backstop.commands.trees.previous import Search
from backstop.commands.trees.tally import Tally
from backstop.files.exclusion import has_magic
from backstop.files.roots import outermost
from backstop.files.scan import find_roots
from backstop.model.backup import BackupKind, Manifest

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from backstop.commands.progress import Progress
    from backstop.commands.publication import Publication
    from backstop.commands.trees.previous import Previous
    from backstop.commands.trees.settings import TreeBackupSettings
    from backstop.crypto.key_encryption import Keyring
    from backstop.errors import BackstopError
    from backstop.files.roots import Root
    from backstop.model.backup import BackupLabel, StoredObject

_UNKNOWN = "unknown"


@dataclass(slots=True)
class TreeBackupAttempt:
    """One try; its objects share a name that no other attempt has."""

    target: str
    tree: str
    publication: Publication
    keyring: Keyring
    settings: TreeBackupSettings
    progress: Progress
    pause: Callable[[float], None]

    def run(self) -> TreeBackupReport:
        """Read, upload, publish. :raises BackstopError: nothing was published."""
        attempt = secrets.token_hex(8)
        with staging_directory(self.settings.staging, f"{self.target}-{self.tree}-{attempt}") as folder:
            # Everything that can be refused is refused before anything is written.
            roots = find_roots(self.settings.patterns)
            search = Search(self.publication, self.target, self.tree, self.keyring, folder)
            previous = search.run()
            label, started_at = self.publication.free_label(BackupKind.TREE, tree=self.tree)
            with Replication(
                self.publication.repositories, max_staged_bytes=self.settings.max_staged_bytes
            ) as replication:
                try:
                    writer = self._writer(label, attempt, folder, replication)
                    tally = Tally()
                    listed = self._capture(roots, previous, writer, attempt, tally)
                    self.progress.phase("upload")
                    replication.finish()
                    warnings = [*search.warnings, *self._warnings(roots, tally, previous)]
                    manifest = self._manifest(
                        label, attempt, started_at, writer, listed, previous, tally, warnings
                    )
                    failures = self.publication.publish(
                        manifest, replication, earlier=previous.version_ids() if previous else None
                    )
                except BaseException:
                    self.publication.discard(replication)
                    raise
                self.publication.discard(replication, failures=failures)
        stored_bytes = sum(stored.stored_bytes for stored in writer.objects)
        return self._report(manifest, tally, warnings, failures, stored_bytes=stored_bytes)

    def _writer(
        self, label: BackupLabel, attempt: str, folder: Path, replication: Replication
    ) -> ObjectWriter:
        return ObjectWriter(
            target=self.target,
            label=label.text,
            prefix=f"{self.target}/data/trees/{self.tree}/{label}/{attempt}",
            folder=folder,
            keyring=self.keyring,
            replication=replication,
            # What was read tells how far it is.
            progress=lambda done_bytes: None,
            compressors=self.settings.compressors,
        )

    def _capture(
        self,
        roots: tuple[Root, ...],
        previous: Previous | None,
        writer: ObjectWriter,
        attempt: str,
        tally: Tally,
    ) -> ListWriter:
        expected = previous.manifest.summary.get("bytes") if previous else None
        self.progress.phase("read", total_bytes=int(expected) if expected else None)
        with (
            PackWriter(writer, attempt=attempt) as packs,
            PackWriter(writer, attempt=attempt, mark="l") as list_packs,
            (writer.folder / "list").open("x+b") as spool,
        ):
            listed = ListWriter(list_packs, spool, known=_known_segments(previous))
            TreeCapture(
                roots=roots,
                settings=self.settings,
                previous=previous,
                pieces=Pieces(packs, previous, self.progress.advance),
                list_writer=listed,
                tally=tally,
                progress=self.progress,
                pause=self.pause,
            ).run()
            packs.finish()
            list_packs.finish()
        document = listing_document(
            tree=self.tree,
            roots=outermost(roots),
            exclude=self.settings.exclude,
            segments=listed.segments,
            entries=listed.entries,
        )
        body = json.dumps(document, separators=(",", ":")).encode()
        writer.write(io.BytesIO(body), layout="file", name=NAME, object_name=NAME)
        return listed

    def _warnings(self, roots: tuple[Root, ...], tally: Tally, previous: Previous | None) -> list[str]:
        named = {root.pattern for root in roots}
        found = [
            f"{pattern} matches nothing"
            for pattern in self.settings.patterns
            if has_magic(pattern) and pattern not in named
        ]
        if tally.gone.count:
            found.append(f"{tally.gone.count} gone: {tally.gone.first()}")
        if tally.late.count:
            found.append(f"{tally.late.count} came too late for this backup: {tally.late.first()}")
        return found + self._shrunk(tally, previous)

    def _shrunk(self, tally: Tally, previous: Previous | None) -> list[str]:
        """An emptied tree is a backup like any other, but hardly what anybody wanted."""
        before = int(previous.manifest.summary.get("files", 0)) if previous else 0
        if not tally.files:
            return [f"the tree has no files{f'; the backup before has {before}' if before else ''}"]
        if tally.files * 2 < before:
            return [f"the tree has {tally.files} files; the backup before has {before}"]
        return []

    def _manifest(
        self,
        label: BackupLabel,
        attempt: str,
        started_at: datetime,
        writer: ObjectWriter,
        listed: ListWriter,
        previous: Previous | None,
        tally: Tally,
        warnings: list[str],
    ) -> Manifest:
        earlier = _earlier_packs(listed, previous, writer)
        shrunk = self._shrunk(tally, previous)
        keys = set(writer.common_keys())
        return Manifest(
            label=label,
            target=self.target,
            repository_id="",
            attempt=attempt,
            epoch=0,
            started_at=started_at,
            snapshot_at=started_at,
            finished_at=self.publication.clock(),
            system_id=_UNKNOWN,
            timeline=None,
            server_version=0,
            database="",
            tools={"backstop": __version__},
            keys=tuple(sorted(keys | set(previous.manifest.keys) if earlier and previous else keys)),
            objects=tuple(sorted([*earlier, *writer.objects], key=lambda stored: stored.key)),
            refers_to=tuple(sorted({stored.origin for stored in earlier})),
            summary={
                "files": tally.files,
                "bytes": tally.bytes,
                "new_files": tally.new_files,
                "changed_files": tally.changed_files,
                "removed_files": tally.removed_files,
                "skewed_files": tally.skewed.count,
                **({"warning": shrunk[0]} if shrunk else {}),
            },
            not_included=tally.not_included.all(),
        )

    def _report(
        self,
        manifest: Manifest,
        tally: Tally,
        warnings: list[str],
        failures: dict[str, BackstopError],
        *,
        stored_bytes: int,
    ) -> TreeBackupReport:
        return TreeBackupReport(
            label=manifest.label.text,
            target=self.target,
            tree=self.tree,
            started_at=manifest.started_at,
            finished_at=manifest.finished_at,
            repositories=self.publication.states(failures),
            plain_bytes=tally.bytes,
            stored_bytes=stored_bytes,
            files=tally.files,
            new_files=tally.new_files,
            changed_files=tally.changed_files,
            removed_files=tally.removed_files,
            skewed=tally.skewed.all(),
            not_included=manifest.not_included,
            warnings=tuple(warnings),
            changes=tuple(tally.changes),
        )


def _known_segments(previous: Previous | None) -> dict[str, Segment]:
    if previous is None:
        return {}
    return {one.sha256: one for one in previous.listing.segments if one.pack in previous.packs}


def _earlier_packs(listed: ListWriter, previous: Previous | None, writer: ObjectWriter) -> list[StoredObject]:
    """Those of earlier backups that hold something of this one."""
    own = {stored.name for stored in writer.objects}
    return [previous.packs[name] for name in sorted(listed.used - own)] if previous else []
