"""A database that is lost, brought back from a dump: beside the live one, compared, then swapped by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backstop.commands.database.plan import RestorePlan
from backstop.commands.database.restore import DatabaseRestore
from backstop.commands.database.swap import reopen, swap_in
from backstop.commands.disaster.component import Found, Phases
from backstop.commands.disaster.server import look_at_database
from backstop.errors import SwapBlockedError
from backstop.model.backup import BackupLabel
from backstop.postgres import databases

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from backstop.commands.database.restore import RestoreSettings
    from backstop.commands.database.swap import ApplicationCommands
    from backstop.commands.disaster.component import Run, Sources
    from backstop.commands.progress import Progress
    from backstop.postgres.connection import ClusterConnection
    from backstop.repository.catalog import Repository


@dataclass(frozen=True, slots=True)
class DumpComponent:
    """One database on a server that runs.

    :param server: the restore role's connection; opened when it is needed.
    :param settings: for these repositories.
    """

    reader: ClusterConnection
    server: Callable[[], ClusterConnection]
    settings: Callable[[Sequence[Repository]], RestoreSettings]
    application: ApplicationCommands
    accept_logical_slots: bool
    clock: Callable[[], datetime]
    progress: Progress

    @property
    def kind(self) -> str:
        return "dump"

    def look(self, sources: Sources) -> Found:
        return look_at_database(self.reader, sources)

    def recover(self, part: Mapping[str, Any], sources: Sources, run: Run) -> dict[str, Any]:
        server = self.server()
        if run.earlier.get("at") == "swap":
            done = self._after_a_killed_swap(run.earlier, server)
            if done is not None:
                return done
        repository, _ = sources.named(part["repository"])
        phases = Phases(self.clock)
        restore = DatabaseRestore(
            repository=repository,
            label=BackupLabel(part["label"]),
            server=server,
            keyring=sources.keyring(),
            settings=self.settings([repository]),
            clock=self.clock,
            progress=self.progress,
        )
        plan = restore.plan()
        if plan.blockers:
            raise SwapBlockedError(
                f"{plan.database} cannot be swapped: " + "; ".join(plan.blockers),
                hint="clear what is named, then run this step again; nothing has been changed",
            )
        restored = restore.restore_beside(plan)
        phases.ended("restore")
        verdict = restore.validate(plan)
        phases.ended("validate")
        facts = {
            "recovered_to": plan.snapshot_at,
            "label": plan.label,
            "repository": repository.name,
            "bytes": plan.plain_bytes,
            "segments": None,
            "notes": [*plan.warnings, *restored["notes"], *verdict["not_set"]],
        }
        run.reach(
            at="swap",
            plan=plan.to_dict(),
            oid=verdict["database_oid"],
            facts={**facts, "phases": phases.documents, "kept": [plan.old] if plan.live_exists else []},
        )
        outcome = swap_in(
            plan,
            server=server,
            application=self.application,
            accept_logical_slots=self.accept_logical_slots,
            beside_oid=verdict["database_oid"],
        )
        phases.ended("swap")
        return {**facts, "phases": phases.documents, "kept": [outcome.kept] if outcome.kept else []}

    def _after_a_killed_swap(
        self, earlier: Mapping[str, Any], server: ClusterConnection
    ) -> dict[str, Any] | None:
        """Doors open, application started; facts when the restored database is the live one already."""
        plan = RestorePlan.from_dict(earlier["plan"])
        reopen(plan, server=server, application=self.application)
        with server.connect(dbname="postgres") as session:
            live = databases.database_oid(session, plan.database)
        return dict(earlier["facts"]) if live == earlier["oid"] else None
