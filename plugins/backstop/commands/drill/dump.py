"""Restores a dump into a scratch server, compares it with its fingerprint, and leaves it there stopped."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from backstop.commands.database.compare import compare_restored, expected_fingerprint
from backstop.commands.database.fetch import fetch_backup
from backstop.commands.database.restored_copy import restored_in_scratch
from backstop.commands.drill.pieces import Brought
from backstop.commands.drill.serving import server_sockets
from backstop.files.removal import remove_tree
from backstop.model.backup import BackupLabel
from backstop.postgres.isolated_server import PORT
from backstop.postgres.isolation import choose_isolation
from backstop.repository.pins import pin

if TYPE_CHECKING:
    from backstop.commands.drill.pieces import Task


def restore_dump(task: Task) -> Brought:
    """:raises BackstopError: it is not back."""
    planned, settings, folder = task.planned, task.settings, task.folder
    sandbox = choose_isolation(settings.isolation)
    if sandbox.kind == "none":
        folder.chmod(0o711)
    manifest = task.repository.catalog.backup(BackupLabel(planned.label)).manifest
    manifest.require_dump()
    dump = folder / "dump"
    with (
        pin(
            task.repository.storage,
            settings.target,
            manifest.label,
            holder=task.holder,
            clock=task.clock,
        ),
        task.phases.phase("fetch"),
    ):
        fetch_backup(
            task.repository,
            manifest,
            keyring=task.keyring,
            destination=dump,
            jobs=settings.database.jobs,
            progress=task.progress,
        )
    expected = expected_fingerprint(dump)
    task.progress.phase("restore")
    with ExitStack() as stack:
        with task.phases.phase("restore"):
            copy = stack.enter_context(
                restored_in_scratch(
                    manifest,
                    dump=dump,
                    expected=expected,
                    parent=folder,
                    isolation=sandbox,
                    hide=settings.hide,
                    jobs=settings.database.jobs,
                )
            )
        task.progress.phase("compare")
        with task.phases.phase("validate"):
            differences = compare_restored(
                expected,
                copy.database,
                tools=copy.tools,
                jobs=settings.database.jobs,
                reference=copy.reference,
                folder=folder,
            )
        assert copy.keep is not None  # noqa: S101 a scratch server of ours
        copy.keep(folder / "data")
    # Roles and their password verifiers are in it.
    remove_tree(bytes(dump))
    return Brought(
        planned.recovers_to,
        planned.loss,
        planned.loss_says,
        bytes=manifest.plain_bytes,
        where={
            "data": str(folder / "data"),
            "socket": str(server_sockets(folder)),
            "port": PORT,
            "user": expected.bootstrap_superuser,
            "database": manifest.database,
            "server_major": manifest.server_major,
            "isolation": sandbox.description,
            "isolation_kind": sandbox.kind,
            "isolation_uid": sandbox.uid,
            "differences": tuple(differences),
            "checks": {
                "tables": len(expected.tables),
                "rows": expected.rows,
                "definitions": len(expected.schema),
                "content": "counts" if expected.counts_only else "full",
            },
        },
    )
