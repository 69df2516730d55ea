"""Restores a file tree to another place, by the code that restores for real, and compares all of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from backstop.commands.drill.pieces import Brought
from backstop.commands.trees.layout import Folder
from backstop.commands.trees.restore import TreeRestore
from backstop.commands.trees.swap import opened
from backstop.errors import VerificationError
from backstop.model.backup import BackupLabel

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.commands.drill.pieces import Task
    from backstop.commands.trees.plan import RestoredTree

_NAMED = 3


def restore_tree(task: Task) -> Brought:
    """:raises BackstopError: it is not back, or what came back is not what was stored."""
    planned, folder = task.planned, task.folder
    section = task.settings.trees[planned.component.partition(":")[2]]
    restore = TreeRestore(
        repository=task.repository,
        label=BackupLabel(planned.label),
        keyring=task.keyring,
        # Nothing live is told of it.
        settings=replace(section.restore, scratch=folder / "scratch", after_restore=()),
        clock=task.clock,
        progress=task.progress,
        holder=task.holder,
    )
    root = folder / "files"
    with task.phases.phase("fetch"):
        plan = restore.plan(destination=root)
    task.progress.phase("restore", total_bytes=plan.stored_bytes)
    with task.phases.phase("restore"):
        restored = restore.restore_beside(plan)
    with task.phases.phase("validate"):
        differences = restore.validate(restored)
        if differences:
            more = f" and {len(differences) - _NAMED} more" if len(differences) > _NAMED else ""
            raise VerificationError(
                f"what came back of {planned.label} differs from its list: "
                + "; ".join(differences[:_NAMED])
                + more,
                hint="restore it from another repository, and check this one",
            )
        excuses = _keep_excuses(restored, folder)
        restore.swap(restored)
    return Brought(
        planned.recovers_to,
        planned.loss,
        planned.loss_says,
        bytes=plan.plain_bytes,
        notes=restored.not_set,
        where={
            "root": str(root),
            "excuses": str(excuses),
            "checks": {"files": restored.files, "names": restored.names, "bytes": restored.plain_bytes},
        },
    )


def _keep_excuses(restored: RestoredTree, folder: Path) -> Path:
    """They lie in what the swap removes; whoever compares again wants them."""
    path = folder / "excuses.json"
    with opened(Folder.from_text(restored.places[0]), restored.token) as area:
        path.write_bytes(area.excuses().to_json())
    return path
