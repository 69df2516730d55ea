"""``verify`` of a base backup: restored with its WAL into a sandbox, replayed to its end, checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backstop.commands.base.fetch import fetch_base
from backstop.commands.base.page_check import check_relations
from backstop.commands.proof.record import record_proof
from backstop.commands.questions import ask
from backstop.commands.recovery.sources import recovery_sources, route_of
from backstop.commands.stopwatch import Stopwatch
from backstop.commands.wal.prefetch import Prefetcher, PrefetchSettings
from backstop.commands.wal.sources import ArchivedWal
from backstop.errors import IntegrityError, ObjectMissingError, RestoreError
from backstop.model.backup import BackupLabel
from backstop.model.recovery import plan_recovery
from backstop.model.recovery_target import CURRENT_TIMELINE, RecoveryTarget, TargetKind
from backstop.postgres.isolation import choose_isolation
from backstop.postgres.recovery import RecoveredCluster, ServerChoice
from backstop.postgres.recovery_settings import RecoveryStop
from backstop.postgres.tools import PostgresTools
from backstop.repository.wal_archive import WalArchive

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from backstop.commands.progress import Progress
    from backstop.commands.proof.dump import VerifySettings
    from backstop.crypto.key_encryption import Keyring
    from backstop.crypto.signing import Signer
    from backstop.model.proof import Proof
    from backstop.model.recovery import RecoveryPlan
    from backstop.postgres.isolation import Isolation
    from backstop.postgres.recovery_end import RecoveryEnd
    from backstop.repository.catalog import Published, Repository


def verify_base_backup(
    *,
    repository: Repository,
    label: BackupLabel,
    keyring: Keyring,
    signer: Signer,
    settings: VerifySettings,
    clock: Callable[[], datetime],
    progress: Progress,
    superuser: str = "postgres",
    database: str = "postgres",
) -> Proof:
    """Restore one base backup with all WAL behind it on its own timeline, and record a signed proof.

    A chain or WAL that is damaged, missing, or does not replay gets a proof that says so. What says nothing
    about the backup (no key, no network, no disk, no programs) is raised, and nothing is recorded.

    :param superuser: of the cluster; :param database: where ``settings.queries`` are asked.
    :raises BackstopError: the backup could not be judged.
    """
    published = repository.catalog.backup(label)
    # Asked first: a worker that cannot isolate says so before it fetches anything.
    sandbox = choose_isolation(settings.isolation)
    return record_proof(
        _BaseVerification(
            repository, published, keyring, settings, sandbox, clock, progress, superuser, database
        ),
        published,
        repository=repository,
        signer=signer,
        scratch=settings.scratch,
        clock=clock,
    )


@dataclass(slots=True)
class _BaseVerification:
    """One verification under way, and what it has found so far."""

    repository: Repository
    published: Published
    keyring: Keyring
    settings: VerifySettings
    sandbox: Isolation
    clock: Callable[[], datetime]
    progress: Progress
    superuser: str
    database: str
    watch: Stopwatch = field(default_factory=Stopwatch)
    differences: list[str] = field(default_factory=list)
    checks: dict[str, int | str] = field(default_factory=dict)

    @property
    def isolation(self) -> str:
        return self.sandbox.description

    def run(self, folder: Path) -> None:
        if self.sandbox.kind == "none":
            # Without a file system of its own the server walks through the folder to its data.
            folder.chmod(0o711)
        try:
            self._recover(folder)
        except (IntegrityError, ObjectMissingError, RestoreError) as error:
            self.differences.append(str(error))

    def _recover(self, folder: Path) -> None:
        manifest = self.published.manifest
        plan = self._plan()
        tools = PostgresTools.find(manifest.server_major, server=True)
        with self.watch.phase("fetch"):
            base = fetch_base(
                self.repository,
                [self.repository.catalog.backup(BackupLabel(one)).manifest for one in plan.chain],
                keyring=self.keyring,
                tools=tools,
                destination=folder / "data",
                tablespaces=folder / "tablespaces",
                jobs=self.settings.jobs,
                progress=self.progress,
                owner=self.sandbox.owner,
            )
        prefetcher = Prefetcher(
            folder / "spool",
            sources=[
                ArchivedWal(
                    WalArchive(self.repository.storage, manifest.target, plan.system_id), self.keyring
                )
            ],
            route=route_of(plan),
            settings=PrefetchSettings(jobs=self.settings.jobs, owner=self.sandbox.owner),
        )
        cluster = RecoveredCluster(
            folder,
            data=folder / "data",
            spool=folder / "spool",
            choice=ServerChoice(tools, self.sandbox, superuser=self.superuser, hide=self.settings.hide),
            stop=RecoveryStop("latest", timeline=plan.timeline),
            tablespaces=list(base.tablespaces.values()),
        )
        self.progress.phase("recover")
        with prefetcher, cluster:
            with self.watch.phase("restore"):
                end = cluster.recover(
                    at_most=plan.end_lsn, at_least=plan.window.base.end, check=prefetcher.check
                )
            with self.watch.phase("probe"):
                self.differences += ask(cluster.connection(self.database), self.settings.queries)
                relations, damaged = check_relations(cluster.connection())
                self.differences += damaged
            with self.watch.phase("compare"):
                cluster.shut_down()
                pages = cluster.check_pages()
        self._note(end, pages, relations, base.size_bytes)

    def _plan(self) -> RecoveryPlan:
        """All WAL behind this very backup, on its own timeline."""
        manifest = self.published.manifest
        sources = recovery_sources(self.repository, target=manifest.target, keyring=self.keyring)
        goal = RecoveryTarget(TargetKind.LATEST, timeline=CURRENT_TIMELINE, base=manifest.label.text)
        return plan_recovery(goal, sources, now=self.clock())

    def _note(self, end: RecoveryEnd, pages: int | None, relations: int | None, size_bytes: int) -> None:
        self.checks = {
            "base_bytes": size_bytes,
            "replayed_bytes": end.replayed_bytes,
            "replay_bytes_per_second": round(end.replayed_bytes / max(end.seconds, 0.001)),
            "end_lsn": str(end.lsn),
            "pages": pages if pages is not None else "the cluster has no checksums",
            "relations": relations if relations is not None else "amcheck is not installed in the cluster",
            "queries": len(self.settings.queries),
        }
