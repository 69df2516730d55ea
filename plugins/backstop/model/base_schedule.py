"""Whether the next base backup should be a full or an incremental one. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.model.backup import BackupKind

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from backstop.model.backup import Manifest


def kind_due(
    manifests: Iterable[Manifest], *, full_due_at: datetime | None, incremental: bool
) -> tuple[BackupKind, str]:
    """The kind to take now, and why.

    A full one that was missed is made up for by the next run, whichever schedule started it; an incremental
    one always finds a full one before it.

    :param manifests: everything that the repositories hold.
    :param full_due_at: when the schedule last asked for a full one; None when it never did.
    :param incremental: whether the target has a schedule for incremental ones.
    """
    if not incremental:
        return BackupKind.FULL, "the target takes no incremental ones"
    full = [manifest for manifest in manifests if manifest.kind is BackupKind.FULL]
    if not full:
        return BackupKind.FULL, "there is no full one yet"
    newest = max(full, key=lambda manifest: manifest.finished_at)
    if full_due_at is not None and newest.started_at < full_due_at:
        return (
            BackupKind.FULL,
            f"{newest.label} is older than {full_due_at:%Y-%m-%d %H:%M} UTC, when one was due",
        )
    return BackupKind.INCREMENTAL, f"{newest.label} is what it builds on"
