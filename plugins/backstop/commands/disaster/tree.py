"""A file tree that is lost: compared with its newest backup, restored beside, compared, exchanged."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backstop.commands.disaster.component import Condition, Found, Phases
from backstop.commands.trees.comparison import WatchedTree, changes_since_newest
from backstop.commands.trees.plan import TreeSwapError
from backstop.commands.trees.restore import TreeRestore
from backstop.commands.trees.swaps import remember_swap
from backstop.errors import BackstopError, SourceError, VerificationError
from backstop.model.backup import BackupLabel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from backstop.commands.disaster.component import Run, Sources
    from backstop.commands.progress import Progress
    from backstop.commands.trees.plan import TreeSwapOutcome
    from backstop.commands.trees.settings import TreeRestoreSettings
    from backstop.repository.catalog import Repository

_NAMED = 10


@dataclass(frozen=True, slots=True)
class TreeComponent:
    """One file tree on this machine.

    :param settings: for these repositories.
    :param exclude: and :param one_file_system: as backups of it are taken.
    :param repositories: names of those that have them.
    """

    name: str
    settings: Callable[[Sequence[Repository]], TreeRestoreSettings]
    clock: Callable[[], datetime]
    progress: Progress
    exclude: tuple[str, ...] = ()
    one_file_system: bool = False
    repositories: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        return f"tree:{self.name}"

    def look(self, sources: Sources) -> Found:
        used = [one for one in sources.repositories if one.name in self.repositories]
        settings = self.settings(used)
        patterns = ", ".join(settings.patterns)
        try:
            changes = changes_since_newest(
                WatchedTree(
                    name=self.name,
                    repositories=used,
                    keyring=sources.keyring(),
                    staging=settings.scratch,
                    patterns=settings.patterns,
                    exclude=self.exclude,
                    one_file_system=self.one_file_system,
                )
            )
        except SourceError as error:
            return Found(Condition.GONE, error.message.partition(":")[0])
        except BackstopError as error:
            return Found(Condition.UNKNOWN, f"{patterns} cannot be compared with a backup: {error.message}")
        if changes.problem:
            return Found(Condition.UNKNOWN, str(changes))
        if changes.removed or changes.changed:
            sentence = f"since the newest backup of {patterns}: {changes}"
            return Found(Condition.DAMAGED, sentence, changes.sample[:_NAMED])
        new = f"; {changes.added} files are newer than it" if changes.added else ""
        return Found(Condition.WHOLE, f"{patterns} has everything that its newest backup has{new}")

    def recover(self, part: Mapping[str, Any], sources: Sources, run: Run) -> dict[str, Any]:
        # A swap that was killed in the middle is found and ended by the next restore itself (trees/area.py).
        repository, _ = sources.named(part["repository"])
        phases = Phases(self.clock)
        restore = TreeRestore(
            repository=repository,
            label=BackupLabel(part["label"]),
            keyring=sources.keyring(),
            settings=self.settings([repository]),
            clock=self.clock,
            progress=self.progress,
        )
        plan = restore.plan()
        restored = restore.restore_beside(plan)
        phases.ended("restore")
        try:
            differences = restore.validate(restored)
            if differences:
                raise VerificationError(
                    f"what was restored of {plan.label} is not what was backed up; nothing live was touched: "
                    + "; ".join(differences),
                    hint="choose another option: another backup, or the other repository",
                )
            phases.ended("validate")
            run.reach(at="swap", token=restored.token)
        except BaseException:
            with suppress(BackstopError):
                restore.discard(restored)
            raise
        outcome = self._swap(restore, restored, sources.target)
        phases.ended("swap")
        return {
            "phases": phases.documents,
            "recovered_to": plan.snapshot_at,
            "label": plan.label,
            "repository": repository.name,
            "bytes": plan.plain_bytes,
            "segments": None,
            "kept": list(outcome.kept),
            "notes": [*plan.warnings, *restored.notes, *restored.not_set],
        }

    def _swap(self, restore: TreeRestore, restored: Any, target: str) -> TreeSwapOutcome:
        try:
            outcome = restore.swap(restored)
        except TreeSwapError as error:
            self._remember(restore, target, error.outcome)
            raise
        self._remember(restore, target, outcome)
        return outcome

    def _remember(self, restore: TreeRestore, target: str, outcome: TreeSwapOutcome) -> None:
        # What was done stands, even where nobody can note how it is taken back.
        with suppress(BackstopError):
            remember_swap(restore.settings.scratch, target, self.name, outcome)
