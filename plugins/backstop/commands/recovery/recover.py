"""``restore-to-point-in-time``: plan, fetch, recover, validate, leave as a clone; see also :mod:`.cut_over`.

Nothing here touches a live cluster. Everything happens in a folder of its own beside the destination, which
appears, recovered and validated, by one rename.
"""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from backstop.commands.base.extraction import link_tablespaces
from backstop.commands.base.fetch import fetch_base
from backstop.commands.base.page_check import check_relations
from backstop.commands.database.fetch import refuse_taken
from backstop.commands.questions import ask
from backstop.commands.recovery.clone import detach
from backstop.commands.recovery.preflight import WalSight, refuse_without_space, stop_of
from backstop.commands.recovery.progress import RecoveryWatch
from backstop.commands.recovery.result import RecoveryResult
from backstop.commands.recovery.sources import recovery_sources, route_of
from backstop.commands.staging import staging_directory, sweep_staging
from backstop.commands.stopwatch import Stopwatch
from backstop.commands.wal.prefetch import Prefetcher, PrefetchSettings
from backstop.commands.wal.sources import ArchivedWal
from backstop.errors import RestoreError, VerificationError
from backstop.model.backup import BackupLabel
from backstop.model.recovery import TargetKind, plan_recovery
from backstop.postgres.isolation import run_as
from backstop.postgres.recovery import RecoveredCluster, ServerChoice
from backstop.postgres.tools import PostgresTools
from backstop.repository.pins import pin
from backstop.repository.wal_archive import WalArchive

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from backstop.commands.progress import Progress
    from backstop.commands.questions import Query
    from backstop.commands.wal.sources import WalSource
    from backstop.crypto.key_encryption import Keyring
    from backstop.model.backup import Manifest
    from backstop.model.recovery import RecoveryPlan, RecoveryTarget
    from backstop.postgres.recovery_end import RecoveryEnd
    from backstop.repository.catalog import Repository

_WORK = ".backstop"


@dataclass(frozen=True, slots=True)
class RecoverSettings:
    """How to recover.

    :param destination: the new data directory; its parent exists.
    :param account: the user that PostgreSQL runs under; empty is ourselves.
    :param superuser: a role of the cluster that may read everything.
    :param database: where the probe queries are asked.
    :param tablespaces: for the cluster's tablespaces; by default beside the destination.
    :param preload: ``shared_preload_libraries``, for clusters whose WAL needs them.
    :param check_pages: compare every page with its checksum afterwards, and every B-tree index with its order
        where ``amcheck`` is installed.
    """

    destination: Path
    account: str = ""
    superuser: str = "postgres"
    database: str = "postgres"
    queries: Sequence[Query] = ()
    tablespaces: Path | None = None
    preload: str = ""
    jobs: int = 2
    check_pages: bool = True
    prefetch: PrefetchSettings = field(default_factory=PrefetchSettings)

    @property
    def tablespaces_folder(self) -> Path:
        return self.tablespaces or self.destination.with_name(f"{self.destination.name}-tablespaces")


@dataclass(frozen=True, slots=True)
class _Recovered:
    end: RecoveryEnd
    pages: int | None = None
    relations: int | None = None
    warnings: tuple[str, ...] = ()
    healed: tuple[str, ...] = ()


@dataclass(slots=True)
class PointInTimeRestore:
    """One target, brought back from one repository; the others heal its WAL.

    :param others: further repositories of the same target.
    """

    repository: Repository
    target: str
    keyring: Keyring
    settings: RecoverSettings
    clock: Callable[[], datetime]
    progress: Progress
    others: Sequence[Repository] = ()
    watch: Stopwatch = field(default_factory=Stopwatch)

    def plan(self, goal: RecoveryTarget) -> RecoveryPlan:
        """Decide what to fetch, and refuse now what cannot work. Fetches a few segments of WAL; for a restore
        point all of it may be read, the newest first.

        :raises RecoveryImpossibleError: the goal cannot be reached, and what can.
        :raises RestoreError: no space, or the destination is taken. :raises ToolError: programs are missing.
        """
        run_as(self.settings.account)
        refuse_taken(self.settings.destination)
        if self.settings.tablespaces_folder.exists():
            raise RestoreError(
                f"{self.settings.tablespaces_folder} exists already", hint="name a new directory"
            )
        with self.watch.phase("plan"):
            sources = recovery_sources(self.repository, target=self.target, keyring=self.keyring)
            plan = plan_recovery(goal, sources, now=self.clock())
            tools = PostgresTools.find(plan.server_major, server=True)
            plan = self._sight(plan, tools).plan(plan, goal, sources, now=self.clock())
        refuse_without_space(
            self.settings.destination.parent,
            plan,
            self._chain(plan),
            ahead_bytes=self.settings.prefetch.ahead_bytes,
        )
        return plan

    def run(self, plan: RecoveryPlan) -> RecoveryResult:
        """Carry it out; afterwards the destination is a stopped clone, or not there at all.

        :raises RestoreError: recovery did not end where it should. :raises VerificationError: a probe query
            was answered wrongly. :raises IntegrityError: something in the repository or a page is damaged.
        """
        settings = self.settings
        chain = self._chain(plan)
        isolation = run_as(settings.account)
        tools = PostgresTools.find(plan.server_major, server=True)
        refuse_taken(settings.destination)
        with ExitStack() as stack:
            for manifest in chain:
                stack.enter_context(
                    pin(
                        self.repository.storage,
                        self.target,
                        manifest.label,
                        holder="recover",
                        clock=self.clock,
                    )
                )
            folder = settings.destination.parent / _WORK
            sweep_staging(folder)
            work = stack.enter_context(
                staging_directory(folder, f"{settings.destination.name}-{secrets.token_hex(4)}")
            )
            if isolation.owner != work.stat().st_uid:
                # The server's account passes through, and cannot look around.
                folder.chmod(0o711)
                work.chmod(0o711)
            with self.watch.phase("fetch"):
                base = fetch_base(
                    self.repository,
                    chain,
                    keyring=self.keyring,
                    tools=tools,
                    destination=work / "data",
                    tablespaces=work / "tablespaces",
                    jobs=settings.jobs,
                    progress=self.progress,
                    owner=isolation.owner,
                )
            choice = ServerChoice(tools, isolation, superuser=settings.superuser, preload=settings.preload)
            found = self._recover(plan, work, choice, list(base.tablespaces.values()), tools)
            self._put_in_place(work, base.tablespaces)
        return self._result(plan, chain[-1], found, list(base.tablespaces))

    def _recover(
        self,
        plan: RecoveryPlan,
        work: Path,
        choice: ServerChoice,
        tablespaces: list[Path],
        tools: PostgresTools,
    ) -> _Recovered:
        route = route_of(plan)
        prefetch = self.settings.prefetch
        at_least = plan.window.base.end
        if plan.target.kind is TargetKind.LATEST:
            at_least = self._sight(plan, tools).end(plan)[0] or at_least
        prefetcher = Prefetcher(
            work / "spool",
            sources=self._wal(plan.system_id),
            route=route,
            settings=PrefetchSettings(
                jobs=prefetch.jobs,
                ahead_bytes=prefetch.ahead_bytes,
                patience=prefetch.patience,
                owner=choice.isolation.owner,
            ),
        )
        self.progress.phase("recover", total_bytes=route.size_bytes)
        with (
            prefetcher,
            RecoveredCluster(
                work,
                data=work / "data",
                spool=work / "spool",
                choice=choice,
                stop=stop_of(plan),
                tablespaces=tablespaces,
            ) as cluster,
        ):
            with self.watch.phase("recover"):
                end = cluster.recover(
                    at_most=plan.end_lsn,
                    at_least=at_least,
                    check=prefetcher.check,
                    on_replayed=RecoveryWatch(route, self.progress),
                )
            with self.watch.phase("validate"):
                found = self._validate(cluster, end)
            with self.watch.phase("sync"):
                detach(work / "data")
                cluster.sync()
        return replace(found, healed=tuple(prefetcher.report.healed))

    def _validate(self, cluster: RecoveredCluster, end: RecoveryEnd) -> _Recovered:
        wrong = ask(cluster.connection(self.settings.database), self.settings.queries)
        if wrong:
            raise VerificationError(
                f"the recovered copy of {self.target} is not as expected: " + "; ".join(wrong),
                hint="nothing was put in place; recover to another point, or correct the queries",
            )
        if not self.settings.check_pages:
            cluster.shut_down()
            return _Recovered(end)
        relations, damaged = check_relations(cluster.connection())
        cluster.shut_down()
        # An index is made anew from its table: no reason to withhold that.
        warnings = tuple(f"{index}; REINDEX it before it is used" for index in damaged)
        return _Recovered(end, cluster.check_pages(), relations, warnings)

    def _put_in_place(self, work: Path, tablespaces: dict[int, Path]) -> None:
        """The data directory last: it must not be there for a moment without its tablespaces."""
        final = self.settings.tablespaces_folder
        link_tablespaces(work / "data", {oid: final / str(oid) for oid in tablespaces})
        if tablespaces:
            (work / "tablespaces").rename(final)
        try:
            (work / "data").rename(self.settings.destination)
        except OSError:
            if tablespaces:
                final.rename(work / "tablespaces")
            raise

    def _result(
        self,
        plan: RecoveryPlan,
        manifest: Manifest,
        found: _Recovered,
        tablespaces: list[int],
    ) -> RecoveryResult:
        final = self.settings.tablespaces_folder
        end = found.end
        return RecoveryResult(
            data=str(self.settings.destination),
            data_inode=self.settings.destination.stat().st_ino,
            system_id=plan.system_id,
            server_version=manifest.server_version,
            chain=plan.chain,
            timeline=end.timeline,
            end_lsn=str(end.lsn),
            last_commit_at=end.last_commit_at,
            stopped=end.stopped,
            replayed_bytes=end.replayed_bytes,
            replayed_bytes_per_second=round(end.replayed_bytes / max(end.seconds, 0.001)),
            pages_checked=found.pages,
            relations_checked=found.relations,
            tablespaces={oid: str(final / str(oid)) for oid in tablespaces},
            seconds=self.watch.seconds(),
            healed=found.healed,
            warnings=(*plan.warnings, *found.warnings),
        )

    def _chain(self, plan: RecoveryPlan) -> list[Manifest]:
        return [self.repository.catalog.backup(BackupLabel(label)).manifest for label in plan.chain]

    def _sight(self, plan: RecoveryPlan, tools: PostgresTools) -> WalSight:
        return WalSight(self.settings.destination.parent / _WORK, self._wal(plan.system_id), tools)

    def _wal(self, system_id: str) -> list[WalSource]:
        return [
            ArchivedWal(WalArchive(one.storage, self.target, system_id), self.keyring)
            for one in (self.repository, *self.others)
        ]
