"""Restores a file tree to another place, by the code that restores for real, and compares all of it."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from backstop.commands.drill.pieces import Brought
from backstop.commands.trees.area import NEW
from backstop.commands.trees.restore import TreeRestore
from backstop.files.names import staging_name
from backstop.model.backup import BackupLabel

if TYPE_CHECKING:
    from backstop.commands.drill.pieces import Task


def restore_tree(task: Task) -> Brought:
    """What differs from the backup's list is told, and left where it lies.

    :raises BackstopError: it is not back.
    """
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
            # A swap would be refused, and rightly; it is looked at where it lies.
            root = folder / os.fsdecode(staging_name(restored.token)) / os.fsdecode(NEW) / root.name
        else:
            restore.swap(restored)
    return Brought(
        planned.recovers_to,
        planned.loss,
        planned.loss_says,
        bytes=plan.plain_bytes,
        notes=restored.not_set,
        where={
            "root": str(root),
            "differences": differences,
            "checks": {
                "files": restored.files,
                "names": restored.names,
                "bytes": restored.plain_bytes,
                "unread": restore.unread,
            },
        },
    )
