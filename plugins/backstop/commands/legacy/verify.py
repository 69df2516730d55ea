"""``verify-legacy``: restore a file that scripts made before Backstop, ask, and record what was found."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import socket
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.commands.evidence.book import enter_proof
from backstop.commands.legacy.archive import Archive
from backstop.commands.legacy.check import check_archive, check_dump, opened, require_same
from backstop.commands.legacy.dump import LegacyDump
from backstop.commands.legacy.gunzip import buffered
from backstop.commands.legacy.unpack import unpack
from backstop.commands.proof.record import sweep_scratch
from backstop.commands.questions import ask
from backstop.commands.staging import staging_directory
from backstop.commands.stopwatch import Stopwatch
from backstop.errors import IntegrityError, RestoreError
from backstop.files.directories import FOLDER, Directories
from backstop.model.legacy_proof import LegacyProof

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from backstop.commands.legacy.places import Place
    from backstop.commands.progress import Progress
    from backstop.commands.proof.dump import VerifySettings
    from backstop.crypto.signing import Signer
    from backstop.model.legacy import LegacyBackup
    from backstop.repository.legacy_records import LegacyRecords

_PIECE_BYTES = 1024 * 1024


def verify_legacy(
    place: Place,
    backup: LegacyBackup,
    *,
    records: LegacyRecords,
    signer: Signer,
    settings: VerifySettings,
    clock: Callable[[], datetime],
    progress: Progress,
) -> LegacyProof:
    """Restore one file into scratch and record a signed proof, whatever it says.

    A file that is cut off, damaged, or does not restore is a result (``matched`` false), not an error. What
    says nothing about it is raised, and nothing is recorded.

    :param settings: as for the target's dumps; a legacy dump is always restored in a scratch server here.
    :raises BackstopError: the file could not be judged.
    """
    started_at = clock()
    # Before anything takes long. The proof may be the first thing in the repository.
    repository_id = records.repository.catalog.repository_id(create=True)
    sweep_scratch(settings.scratch)
    work = _Verification(place, backup, settings, progress)
    with staging_directory(settings.scratch, f"verify-legacy-{secrets.token_hex(4)}") as folder:
        work.run(folder)
    proof = records.record(
        LegacyProof(
            target=records.repository.catalog.target,
            repository_id=repository_id,
            kind=backup.kind,
            name=backup.name,
            location=backup.location,
            file_sha256=work.sha256 or _sha256(place, backup),
            size_bytes=backup.size_bytes,
            modified_at=backup.modified_at,
            started_at=started_at,
            finished_at=clock(),
            matched=not work.differences,
            differences=tuple(work.differences),
            durations=work.watch.seconds(),
            checks=work.checks,
            isolation=work.isolation,
            host=socket.gethostname(),
        ),
        signer=signer,
    )
    enter_proof(records.repository, proof, now=clock())
    return proof


@dataclass(slots=True)
class _Verification:
    place: Place
    backup: LegacyBackup
    settings: VerifySettings
    progress: Progress
    watch: Stopwatch = field(default_factory=Stopwatch)
    differences: list[str] = field(default_factory=list)
    checks: dict[str, int | str] = field(default_factory=dict)
    isolation: str = "not restored"
    sha256: str = ""

    def run(self, folder: Path) -> None:
        try:
            if self.backup.tree:
                self._archive(folder)
            else:
                self._dump()
        except (IntegrityError, RestoreError) as error:
            self.differences.append(str(error))

    def _dump(self) -> None:
        from backstop.postgres.isolation import choose_isolation

        isolation = choose_isolation(self.settings.isolation)
        self.progress.phase("check", total_bytes=self.backup.size_bytes)
        with self.watch.phase("check"):
            checked = check_dump(self.place, self.backup, self.progress)
        self.sha256 = checked.sha256
        dump = LegacyDump(self.place, self.backup, checked, self.progress)
        self.isolation = isolation.description
        self.progress.phase("restore", total_bytes=self.backup.size_bytes)
        with ExitStack() as stack:
            with self.watch.phase("restore"):
                restored = dump.in_scratch(
                    self.settings.scratch, isolation=isolation, hide=self.settings.hide
                )
                database = stack.enter_context(restored)
            with self.watch.phase("compare"):
                self.differences += dump.differences(database)
            with self.watch.phase("probe"):
                self.differences += ask(database, self.settings.queries)
        self.checks = {
            "tables": len(checked.facts.rows),
            "rows": checked.rows,
            "statements": checked.facts.statements,
            "queries": len(self.settings.queries),
        }

    def _archive(self, folder: Path) -> None:
        self.progress.phase("check", total_bytes=self.backup.size_bytes)
        with self.watch.phase("check"):
            checked = check_archive(self.place, self.backup, self.progress)
        self.sha256 = checked.sha256
        self.isolation = "unpacked into a new folder; no name leads out of it"
        destination = folder / "tree"
        destination.mkdir(mode=0o700)
        expected = folder / "expected"
        self.progress.phase("restore", total_bytes=self.backup.size_bytes)
        with (
            self.watch.phase("restore"),
            expected.open("x", encoding="ascii") as written,
            opened(self.place, self.backup, self.progress) as content,
        ):
            done = unpack(
                Archive(buffered(content), self.backup.location),
                destination,
                name=self.backup.location,
                written=lambda path, digest: print(json.dumps([os.fsdecode(path), digest]), file=written),
            )
            require_same(content, checked, self.backup)
        with self.watch.phase("compare"):
            self.differences += _unlike(destination, expected)
        self.checks = {"files": done.files, "bytes": done.bytes, "links": done.links, "folders": done.folders}


def _unlike(destination: Path, expected: Path) -> Iterator[str]:
    """Each file that is not read again as it was written; of one that came twice the last counts."""
    unlike: set[str] = set()
    with ExitStack() as stack:
        top = os.open(destination, FOLDER)
        stack.callback(os.close, top)
        folders = stack.enter_context(Directories(top))
        lines = stack.enter_context(expected.open(encoding="ascii"))
        for line in lines:
            path, digest = json.loads(line)
            found = hashlib.sha256()
            # Step by step: together the names may be longer than the system takes at once.
            *above, name = os.fsencode(path).split(b"/")
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folders.at(above))
            with os.fdopen(descriptor, "rb") as file:
                while piece := file.read(_PIECE_BYTES):
                    found.update(piece)
            (unlike.discard if found.hexdigest() == digest else unlike.add)(path)
    for path in sorted(unlike):
        yield f"{path} was not written as the archive has it"


def _sha256(place: Place, backup: LegacyBackup) -> str:
    """Of a file that did not even pass the check."""
    digest = hashlib.sha256()
    with place.open(backup) as stream:
        while piece := stream.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()
