"""A file tree that is lost: compared with its newest backup, restored beside, compared, exchanged."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backstop.commands.disaster.component import Condition, Found, Phases
from backstop.commands.disaster.unmounted import unmounted_above
from backstop.commands.trees.comparison import WatchedTree, changes_since_newest
from backstop.commands.trees.newest import NewestBackup
from backstop.commands.trees.plan import TreeSwapError
from backstop.commands.trees.restore import TreeRestore
from backstop.commands.trees.swaps import remember_swap, swap_done
from backstop.errors import BackstopError, SourceError, VerificationError
from backstop.model.backup import BackupLabel
from backstop.model.canonical import format_time, parse_time

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
        for one in settings.patterns:
            if (hidden := unmounted_above(Path(one))) is not None:
                said = f"{hidden} of /etc/fstab is not mounted: mount it, then look again"
                return Found(Condition.UNKNOWN, said)
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
            named = changes.sample[:_NAMED]
            if 2 * (changes.removed + changes.changed) >= self._files(used):
                return Found(Condition.DAMAGED, sentence, named)
            # Going back would take away what people have done since.
            return Found(Condition.UNKNOWN, f"{sentence}: work, or damage", named)
        new = f"; {changes.added} files are newer than it" if changes.added else ""
        return Found(Condition.WHOLE, f"{patterns} has everything that its newest backup has{new}")

    def recover(self, part: Mapping[str, Any], sources: Sources, run: Run) -> dict[str, Any]:
        # A swap that was killed in the middle is found and ended by the next restore itself (trees/area.py).
        if run.earlier.get("at") == "swap":
            done = self._after_a_killed_swap(run.earlier, sources.target)
            if done is not None:
                return done
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
            facts = {
                "recovered_to": plan.snapshot_at,
                "label": plan.label,
                "repository": repository.name,
                "bytes": plan.plain_bytes,
                "segments": None,
                "notes": [*plan.warnings, *restored.notes, *restored.not_set],
            }
            since = format_time(self.clock())
            run.reach(
                at="swap",
                token=restored.token,
                scratch=str(restore.settings.scratch),
                since=since,
                facts={**facts, "phases": phases.documents},
            )
        except BaseException:
            with suppress(BackstopError):
                restore.discard(restored)
            raise
        outcome = self._swap(restore, restored, sources.target)
        phases.ended("swap")
        return {**facts, "phases": phases.documents, "kept": list(outcome.kept)}

    def _files(self, repositories: Sequence[Repository]) -> int:
        """How many the newest backup has; 0: nobody knows."""
        newest = NewestBackup(repositories, self.name).find()
        return int(newest[1].manifest.summary.get("files", 0)) if newest else 0

    def _after_a_killed_swap(self, earlier: Mapping[str, Any], target: str) -> dict[str, Any] | None:
        """Facts when it was over before whoever did it was killed, or before it could be noted."""
        try:
            outcome = swap_done(Path(earlier["scratch"]), target, self.name)
        except BackstopError:
            return None
        facts = dict(earlier["facts"])
        if outcome.label != facts["label"] or outcome.failure or outcome.undone:
            return None
        if parse_time(outcome.swapped_at) < parse_time(earlier["since"]):
            return None
        notes = [*facts["notes"], "the swap was over when another run went on; nothing was restored again"]
        return {**facts, "kept": list(outcome.kept), "notes": notes}

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
