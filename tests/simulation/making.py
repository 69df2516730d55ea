"""Manifests and proofs of backups that never ran: right in every field that anything decides by."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from backstop.model.backup import BackupKind, BackupLabel, Manifest, StoredObject
from backstop.model.canonical import sha256_hex
from backstop.model.lsn import Lsn
from backstop.model.proof import Proof
from tests.simulation.chronicle import Made

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backstop.repository.catalog import Published
    from tests.simulation.cluster import Cluster


@dataclass(frozen=True)
class Draft:
    """A backup whose payload is stored, and whose manifest is not.

    :param keys: of every object the manifest will list, those of earlier backups among them.
    """

    target: str
    label: BackupLabel
    attempt: str
    started_at: datetime
    finished_at: datetime
    keys: tuple[str, ...]
    content: int
    cluster: Cluster | None = None
    timeline: int = 0
    start: int = 0
    end: int = 0
    chain: tuple[str, ...] = field(default=())

    @property
    def group(self) -> str:
        if self.label.tree:
            return self.label.tree
        return "dump" if self.label.kind is BackupKind.DUMP else self.cluster.system_id

    def made(self) -> Made:
        return Made(
            label=self.label.text,
            target=self.target,
            group=self.group,
            kind=self.label.kind.value,
            at=self.finished_at,
            moment=self.moment,
            keys=frozenset(self.keys),
            content=self.content,
            needs=self.chain,
            cluster=self.cluster if self.label.kind.physical else None,
            timeline=self.timeline,
            start=self.start,
            end=self.end,
        )

    @property
    def moment(self) -> datetime:
        """Of a base backup the end of the copy, else the moment of the snapshot."""
        return self.finished_at if self.label.kind.physical else self.started_at

    def manifest(
        self, repository_id: str, bytes_of: Mapping[str, bytes], version_of: Mapping[str, str | None]
    ) -> Manifest:
        """As it is published in one repository."""
        physical, tree = self.label.kind.physical, self.label.tree
        objects = tuple(self._object(key, bytes_of[key], version_of[key]) for key in sorted(self.keys))
        origins = {stored.origin for stored in objects} - {self.label}
        chain = tuple(BackupLabel(label) for label in self.chain)
        counted = "files" if tree else "rows"
        return Manifest(
            label=self.label,
            target=self.target,
            repository_id=repository_id,
            attempt=self.attempt,
            epoch=1,
            started_at=self.started_at,
            snapshot_at=self.moment,
            finished_at=self.finished_at,
            system_id=self.cluster.system_id if self.cluster else "unknown",
            timeline=self.timeline if physical else None,
            server_version=0 if tree else 180004,
            database="" if physical or tree else "calibrify",
            tools={"backstop": "1"},
            keys=("backstop-local/1",),
            objects=objects,
            parent=chain[-1] if chain else None,
            start_lsn=str(Lsn(self.start)) if physical else None,
            end_lsn=str(Lsn(self.end)) if physical else None,
            refers_to=chain if physical else tuple(sorted(origins)),
            summary={"wal_segment_bytes": 16 * 1024 * 1024} if physical else {counted: self.content},
        )

    def _object(self, key: str, body: bytes, version_id: str | None) -> StoredObject:
        name = key.rsplit("/", 1)[1]
        layout = {"tree": "file" if name == "files" else "chunks"}.get(self.label.kind.value, "file")
        if layout == "chunks":
            name = f"{key.split('/')[-3]}-{name}"
        return StoredObject(
            key, layout, name, len(body), len(body), sha256_hex(body), sha256_hex(body), version_id
        )


def proof_of(published: Published, now: datetime, *, matched: bool) -> Proof:
    """What a restore of exactly this copy would have recorded."""
    manifest = published.manifest
    return Proof(
        label=manifest.label,
        target=manifest.target,
        repository_id=manifest.repository_id,
        manifest_sha256=published.sha256,
        started_at=now - timedelta(minutes=5),
        finished_at=now,
        matched=matched,
        differences=() if matched else ("table public.equipment: 10 rows in the backup, 9 restored",),
        durations={"total": 300.0},
        checks={},
        server_version=manifest.server_version,
        isolation="none (test)",
        host="test",
    )
