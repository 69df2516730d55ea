"""What retention has to know of a backup, taken from its manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.model.lsn import Lsn
from backstop.model.retention_policy import Candidate

if TYPE_CHECKING:
    from backstop.model.backup import BackupLabel, Manifest


def candidate_of(manifest: Manifest) -> Candidate:
    """Not proven, held or read, as far as a manifest can say."""
    physical = manifest.kind.physical
    content = manifest.summary.get("files" if manifest.label.tree else "rows")
    return Candidate(
        label=manifest.label,
        system_id=manifest.system_id,
        finished_at=manifest.finished_at,
        snapshot_at=manifest.snapshot_at,
        stored_bytes=manifest.stored_bytes,
        proven=False,
        needs=needs_of(manifest),
        content=int(content) if isinstance(content, int | float) and not physical else None,
        timeline=manifest.timeline if physical else None,
        start=_lsn(manifest.start_lsn) if physical else None,
        end=_lsn(manifest.end_lsn) if physical else None,
    )


def needs_of(manifest: Manifest) -> tuple[BackupLabel, ...]:
    """Every backup without which this one cannot be restored: of an incremental base backup its chain.

    Not of a file tree: its manifest names every pack, whoever stored it, and is a full view.
    """
    if manifest.label.tree:
        return ()
    parents = (manifest.parent,) if manifest.parent is not None else ()
    return tuple(dict.fromkeys((*manifest.refers_to, *parents)))


def segment_bytes_of(manifest: Manifest) -> int | None:
    """WAL segment size of the cluster, as its base backup says; None: it is none, or does not say."""
    size = manifest.summary.get("wal_segment_bytes")
    return size if manifest.kind.physical and isinstance(size, int) else None


def _lsn(text: str | None) -> Lsn | None:
    try:
        return Lsn.parse(text) if text else None
    except ValueError:
        return None  # then all WAL of its cluster stays
