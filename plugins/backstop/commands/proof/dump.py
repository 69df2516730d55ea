"""``verify``: restore a backup into a scratch server, compare, and record what was found."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from backstop.commands.database.compare import compare_restored, expected_fingerprint
from backstop.commands.database.fetch import fetch_backup
from backstop.commands.database.restored_copy import RestoredCopy, restored_in_scratch, restored_on_server
from backstop.commands.proof.record import record_proof
from backstop.commands.questions import ask
from backstop.commands.stopwatch import Stopwatch
from backstop.errors import IntegrityError, ObjectMissingError, RestoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from backstop.commands.progress import Progress
    from backstop.commands.questions import Query
    from backstop.crypto.key_encryption import Keyring
    from backstop.crypto.signing import Signer
    from backstop.model.backup import BackupLabel
    from backstop.model.fingerprint import Fingerprint
    from backstop.model.proof import Proof
    from backstop.postgres.connection import ClusterConnection
    from backstop.postgres.isolation import Isolation, IsolationPolicy
    from backstop.repository.catalog import Published, Repository


@dataclass(frozen=True, slots=True)
class VerifySettings:
    """How to verify.

    :param scratch: folder for the fetched dump and the scratch server's data.
    :param isolation: ``required`` refuses where the scratch server cannot be kept apart from the machine;
        ``preferred`` goes on and the proof says so.
    :param hide: folders that the scratch server must not see: key rings, repositories.
    :param server: a server kept for verification, to restore into instead of a scratch server.
    """

    scratch: Path
    jobs: int = 2
    isolation: IsolationPolicy = "required"
    hide: Sequence[Path] = ()
    queries: Sequence[Query] = ()
    server: ClusterConnection | None = None


def verify_backup(
    *,
    repository: Repository,
    label: BackupLabel,
    keyring: Keyring,
    signer: Signer,
    settings: VerifySettings,
    clock: Callable[[], datetime],
    progress: Progress,
) -> Proof:
    """Restore one backup from one repository, compare it with its fingerprint, record a signed proof.

    A backup that is damaged, does not restore, or differs gets a proof that says so (``matched`` false, one
    sentence a difference): that is a result, not an error. What says nothing about the backup (no key, no
    network, no disk, a missing extension on this worker) is raised, and nothing is recorded.

    :raises ConfigurationError: it is no dump; :raises BackstopError: the backup could not be judged.
    """
    published = repository.catalog.backup(label)
    published.manifest.require_dump()
    return record_proof(
        _Verification(repository, published, keyring, settings, progress),
        published,
        repository=repository,
        signer=signer,
        scratch=settings.scratch,
        clock=clock,
    )


@dataclass(slots=True)
class _Verification:
    """One verification under way, and what it has found so far."""

    repository: Repository
    published: Published
    keyring: Keyring
    settings: VerifySettings
    progress: Progress
    watch: Stopwatch = field(default_factory=Stopwatch)
    differences: list[str] = field(default_factory=list)
    checks: dict[str, int | str] = field(default_factory=dict)
    isolation: str = "not restored"

    def run(self, folder: Path) -> None:
        from backstop.postgres.isolation import choose_isolation

        isolation = None
        if self.settings.server is not None:
            self.isolation = f"restored on {self.settings.server.location}, a server of its own"
        else:
            # Asked first: a worker that cannot isolate says so before it fetches anything.
            isolation = choose_isolation(self.settings.isolation)
            self.isolation = isolation.description
        try:
            dump = folder / "dump"
            with self.watch.phase("fetch"):
                fetch_backup(
                    self.repository,
                    self.published.manifest,
                    keyring=self.keyring,
                    destination=dump,
                    jobs=self.settings.jobs,
                    progress=self.progress,
                )
            self._restore_and_compare(dump, isolation)
        except (IntegrityError, ObjectMissingError, RestoreError) as error:
            self.differences.append(str(error))

    def _restored(
        self, dump: Path, expected: Fingerprint, isolation: Isolation | None
    ) -> AbstractContextManager[RestoredCopy]:
        manifest, settings = self.published.manifest, self.settings
        if isolation is None:
            server = cast("ClusterConnection", settings.server)
            return restored_on_server(
                manifest, dump=dump, expected=expected, server=server, jobs=settings.jobs
            )
        return restored_in_scratch(
            manifest,
            dump=dump,
            expected=expected,
            parent=settings.scratch,
            isolation=isolation,
            hide=settings.hide,
            jobs=settings.jobs,
        )

    def _restore_and_compare(self, dump: Path, isolation: Isolation | None) -> None:
        expected = expected_fingerprint(dump)
        self.progress.phase("restore")
        with ExitStack() as stack:
            with self.watch.phase("restore"):
                copy = stack.enter_context(self._restored(dump, expected, isolation))
            self.progress.phase("compare")
            with self.watch.phase("compare"):
                self.differences += compare_restored(
                    expected,
                    copy.database,
                    tools=copy.tools,
                    jobs=self.settings.jobs,
                    reference=copy.reference,
                    folder=dump.parent,
                )
            with self.watch.phase("probe"):
                self.differences += ask(copy.database, self.settings.queries)
        self.checks = {
            "tables": len(expected.tables),
            "rows": expected.rows,
            "large_objects": expected.large_objects.rows,
            "sequences": len(expected.sequences),
            "definitions": len(expected.schema),
            "queries": len(self.settings.queries),
            "content": "counts" if expected.counts_only else "full",
        }
