"""What targets.yaml says of a target, as what drills take. For the CLI and for Airflow alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from backstop.errors import BackstopError
from backstop.model.drill_loss import SAMPLE_GAP
from backstop.model.drill_samples import drilled_restores
from backstop.model.scenario import Loss, Scenario
from backstop.settings.arguments import utc_now
from backstop.settings.database import private_folders, staging
from backstop.settings.trees import tree_restore_settings
from backstop.wiring import (
    cheapest_first,
    every_repository,
    find_target,
    inventory_or_why,
    open_evidence_signer,
    open_keyring,
    open_repository,
    open_what_can_be,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime, timedelta

    from backstop.commands.checklist.restored import RestoredDatabase, RestoredFiles
    from backstop.commands.drill.drill import Drill
    from backstop.commands.drill.restored import RestoredComponent
    from backstop.commands.drill.settings import DrillSettings
    from backstop.commands.progress import Progress
    from backstop.credentials import CredentialSource
    from backstop.model.drill import DrillRecord
    from backstop.model.drill_plan import DrillPlan
    from backstop.model.drill_samples import Sample
    from backstop.model.measured import CheckedItem
    from backstop.postgres.connection import ClusterConnection
    from backstop.repository.inventory import Inventory
    from backstop.targets import Configuration

Answer = TypeVar("Answer")
EARLIER_DRILLS = 100


def open_drill(
    configuration: Configuration,
    target: str,
    credentials: CredentialSource,
    *,
    progress: Progress,
    clock: Callable[[], datetime] = utc_now,
    attended: bool = False,
) -> Drill:
    """Drills of the target. Repositories, keys and inventory are opened when they are asked.

    :param attended: this process carries whole drills out, and not one step of them.
    :raises NotFoundError: no such target.
    """
    from backstop.commands.drill.drill import Drill

    return Drill(
        settings=drill_settings(configuration, target, credentials),
        open_repository=cache(lambda name: open_repository(configuration, target, name, credentials)),
        keyring=cache(lambda: open_keyring(configuration, target, credentials, for_reading=True)),
        surroundings=TargetSurroundings(configuration, target, credentials, progress, clock),
        clock=clock,
        progress=progress,
        attended=attended,
    )


def drill_settings(configuration: Configuration, target: str, credentials: CredentialSource) -> DrillSettings:
    """What is restored, where, and what it may take. :raises NotFoundError: no such target."""
    from backstop.commands.drill.settings import DatabaseDrill, DrillSettings, TreeDrill

    section = find_target(configuration, target)
    database = section.database
    recovery = section.cluster.recovery if section.cluster else None
    directory = section.drill.directory or _scratch(configuration, target, credentials)
    usual = tuple(cheapest_first(configuration, target, database.repositories))
    return DrillSettings(
        target=target,
        directory=directory,
        scenario=section.drill.scenario,
        database=DatabaseDrill(
            repositories=usual,
            dbname=database.dbname,
            physical=section.cluster is not None,
            superuser=recovery.superuser if recovery else "postgres",
            rto=database.objectives.rto,
            rpo=database.objectives.rpo,
            jobs=database.jobs,
        ),
        trees={
            name: TreeDrill(
                repositories=tuple(cheapest_first(configuration, target, tree.repositories)) or usual,
                restore=tree_restore_settings(configuration, target, name, ()),
                first=tree.on_change is not None,
                rto=tree.objectives.rto,
                rpo=tree.objectives.rpo,
            )
            for name, tree in section.trees.items()
        },
        isolation=database.verify.isolation,
        hide=private_folders(configuration),
    )


@dataclass(slots=True)
class TargetSurroundings:
    """Inventory, checklist and evidence of one target, as its drills ask them."""

    configuration: Configuration
    target: str
    credentials: CredentialSource
    progress: Progress
    clock: Callable[[], datetime]
    _doubts: list[str] = field(default_factory=list)

    def drilled(self) -> Sequence[tuple[str, datetime]]:
        return [(one.scenario, one.began_at) for one in self._earlier()]

    def restores(self) -> Mapping[str, Sequence[Sample]]:
        return drilled_restores(self._earlier())

    def losses(self, repository: str, moment: datetime) -> Sequence[tuple[datetime, timedelta | None]]:
        from backstop.repository.observed_losses import losses_around

        return self._ask(
            lambda inventory: losses_around(inventory, self.target, repository, moment, within=SAMPLE_GAP),
            [],
        )

    def check(self, plan: DrillPlan, restored: Sequence[RestoredComponent]) -> Sequence[CheckedItem]:
        from backstop.commands.checklist import run_checklist
        from backstop.commands.drill.application import environment_of, remembered
        from backstop.settings.checklist import checklist_settings

        application = find_target(self.configuration, self.target).drill.application
        servers = [self._database(one) for one in restored if one.component in ("base", "dump")]
        trees = [self._files(one) for one in restored if one.component.startswith("tree:")]
        with remembered(_folder(plan), application, environment_of(restored)):
            return run_checklist(
                servers[0] if servers else None,
                trees,
                settings=checklist_settings(self.configuration, self.target),
                progress=self.progress,
            )

    def stop(self, plan: DrillPlan) -> Sequence[str]:
        from backstop.commands.drill.application import stop_forgotten

        return stop_forgotten(_folder(plan), find_target(self.configuration, self.target).drill.application)

    def keep(self, plan: DrillPlan, record: DrillRecord) -> Sequence[str]:
        from backstop.commands.evidence.record import record_evidence
        from backstop.model.drill_document import drill_document
        from backstop.model.evidence import EvidenceKind
        from backstop.repository.drills import store_drill
        from backstop.wiring import draw_report

        alone = Scenario.parse(plan.scenario).loss is Loss.AIRFLOW
        inventory, why = (None, "") if alone else inventory_or_why(self.configuration, self.credentials)
        repositories, unopened = open_what_can_be(self.configuration, self.target, self.credentials)
        kept = record_evidence(
            EvidenceKind.DRILL,
            record.drill_id,
            drill_document(record),
            repositories=repositories,
            signer=lambda: open_evidence_signer(self.configuration, self.target, self.credentials),
            happened_at=record.ended_at,
            now=self.clock(),
            render=draw_report,
            inventory=inventory,
            unopened=unopened,
        )
        missing = [*kept.sentences(), *([why] if why else [])]
        if inventory is not None:
            try:
                store_drill(inventory, record)
            except BackstopError as error:
                missing.append(f"the inventory does not know drill {record.drill_id} yet: {error}")
        return missing

    # -- Inside ----------------------------------------------------------------------------------------------

    def _database(self, restored: RestoredComponent) -> RestoredDatabase:
        from backstop.commands.checklist import RestoredDatabase
        from backstop.commands.drill.serving import check_pages, serving
        from backstop.settings.checklist import ledger_queries

        hide = private_folders(self.configuration)
        is_base = restored.component == "base"

        def compared(_: ClusterConnection) -> Sequence[str]:
            return restored.differences  # of the comparison right after the restore

        return RestoredDatabase(
            component=restored.component,
            label=restored.recovery.label,
            failure=restored.failure,
            serve=lambda: serving(restored, hide=hide),
            dbname=restored.database,
            pages=(lambda: check_pages(restored, hide=hide)) if is_base else None,
            compare=None if is_base else compared,
            queries=ledger_queries(self.configuration, self.target, restored.component),
            recovered_to=restored.recovery.recovered_to,
        )

    def _files(self, restored: RestoredComponent) -> RestoredFiles:
        from backstop.commands.checklist import RestoredFiles
        from backstop.settings.checklist import validators
        from backstop.settings.proof import expected_files

        tree = restored.component.removeprefix("tree:")
        files = restored.checks.get("files")

        def nobody() -> ClusterConnection:
            raise AssertionError("rows are asked of the restored database alone")

        return RestoredFiles(
            component=restored.component,
            label=restored.recovery.label,
            failure=restored.failure,
            root=Path(restored.root),
            compare=lambda: restored.differences,
            not_set=restored.recovery.notes,
            files=int(files) if files is not None else None,
            unread=int(restored.checks.get("unread", 0)),
            expected=expected_files(self.configuration, self.target, tree, reader=nobody),
            validators=validators(self.configuration, self.target, tree),
            recovered_to=restored.recovery.recovered_to,
            rpo=restored.recovery.rpo,
        )

    def _earlier(self) -> list[DrillRecord]:
        """The newest first."""
        from backstop.repository.drills import drills_of

        return self._ask(lambda inventory: drills_of(inventory, self.target, EARLIER_DRILLS), [])

    def _ask(self, question: Callable[[Inventory], Answer], otherwise: Answer) -> Answer:
        """A drill needs no inventory; with one it knows more."""
        inventory, _ = inventory_or_why(self.configuration, self.credentials)
        if inventory is None:
            return otherwise
        try:
            return question(inventory)
        except BackstopError:
            return otherwise


def _folder(plan: DrillPlan) -> Path:
    from backstop.commands.drill.folder import DrillFolder

    return DrillFolder(Path(plan.directory), plan.target).of(plan.drill_id)


def _scratch(configuration: Configuration, target: str, credentials: CredentialSource) -> Path:
    """The target's own staging; what may be lost is opened for that only where nothing else tells."""
    if configuration.targets[target].database.spool is not None:
        return staging(configuration, target, ())
    local = [
        name
        for name in every_repository(configuration, target)
        if configuration.repositories[name].type == "posix"
    ]
    return staging(
        configuration,
        target,
        [open_repository(configuration, target, name, credentials) for name in local],
    )
