"""Backups for tests that need one without a PostgreSQL: real encryption, real signatures, chosen content."""

from __future__ import annotations

import io
import tarfile
import tempfile
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from backstop.crypto.envelope import encrypt_stream, object_context
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, TrustedSigners
from backstop.model.backup import BackupKind, BackupLabel, Manifest, StoredObject
from backstop.model.proof import Proof
from backstop.repository.catalog import Catalog, Published, Repository
from backstop.storage.posix import PosixStorage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backstop.crypto.key_encryption import Keyring
    from backstop.storage.base import Storage

STARTED = datetime(2026, 11, 23, 1, tzinfo=timezone.utc)


def tar_of(files: Mapping[str, bytes]) -> bytes:
    """A tar as ``commands/database/capture.py`` packs small files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@dataclass
class Maker:
    """Publishes backups of one target into one storage."""

    storage: Storage
    keyring: Keyring
    signer: Signer
    trust: TrustedSigners
    name: str = "local"
    target: str = "calibrify"
    catalog: Catalog = field(init=False)

    @classmethod
    def in_folder(cls, folder: Path, name: str = "local") -> Maker:
        """One that writes to the directory ``name`` in it, with the keys that ``init-keys`` made there."""
        return cls(
            PosixStorage(folder / name),
            LocalKeyring.load(folder / "ring.json"),
            Signer.load(folder / "signing" / "manifest.pem"),
            TrustedSigners.load(folder / "signing" / "trusted.json"),
            name=name,
        )

    def __post_init__(self) -> None:
        self.catalog = Catalog(self.storage, self.target, trust=self.trust)
        self.catalog.repository_id(create=True)

    @property
    def repository(self) -> Repository:
        return Repository(name=self.name, storage=self.storage, catalog=self.catalog)

    def put(
        self, label: BackupLabel, object_name: str, content: bytes, *, layout: str, name: str
    ) -> StoredObject:
        """Encrypt and upload one object."""
        key = f"{self.target}/data/database/{label}/0123456789abcdef/{object_name}"
        context = object_context(self.target, label.text, key)
        with tempfile.TemporaryDirectory() as folder:
            staged = Path(folder) / "object"
            with staged.open("xb") as sink:
                sealed = encrypt_stream(io.BytesIO(content), sink, keyring=self.keyring, context=context)
            info = self.storage.upload(key, staged)
        return StoredObject(
            key=key,
            layout=layout,
            name=name,
            plain_bytes=sealed.plain_bytes,
            stored_bytes=sealed.stored_bytes,
            plain_sha256=sealed.plain_sha256,
            stored_sha256=sealed.stored_sha256,
            version_id=info.version_id,
        )

    def publish(
        self,
        *,
        started_at: datetime = STARTED,
        files: Mapping[str, bytes] | None = None,
        packed: Mapping[str, bytes] | bytes | None = None,
    ) -> Published:
        """One dump: ``files`` become objects of their own, ``packed`` goes into one tar object."""
        label = BackupLabel.at(started_at, BackupKind.DUMP)
        files = {"toc.dat": b"PGDMP", "globals.sql": b"-- roles", "fingerprint.json": b"{}", **(files or {})}
        objects = [
            self.put(label, f"t/{number}", content, layout="file", name=name)
            for number, (name, content) in enumerate(files.items())
        ]
        if packed is not None:
            pack = packed if isinstance(packed, bytes) else tar_of(packed)
            objects.append(self.put(label, "t/pack", pack, layout="tar", name=""))
        return self.catalog.publish(
            self.manifest(label, objects, started_at), signer=self.signer, ensure_held=lambda: None
        )

    def manifest(self, label: BackupLabel, objects: list[StoredObject], started_at: datetime) -> Manifest:
        """A manifest of these objects."""
        return Manifest(
            label=label,
            target=self.target,
            repository_id=self.catalog.repository_id(),
            attempt="0123456789abcdef",
            epoch=1,
            started_at=started_at,
            snapshot_at=started_at,
            finished_at=started_at + timedelta(minutes=1),
            system_id="7000000000000000001",
            timeline=1,
            server_version=180004,
            database="calibrify",
            tools={"pg_dump": "18.4"},
            keys=self.keyring.key_ids,
            objects=tuple(objects),
            summary={"tables": 3, "rows": 1000, "snapshot_seconds": 1.5},
        )

    def prove(
        self, published: Published, *, signer: Signer, matched: bool = True, minutes: int = 10
    ) -> Proof:
        """Record a verification."""
        finished_at = published.manifest.finished_at + timedelta(minutes=minutes)
        proof = Proof(
            label=published.manifest.label,
            target=self.target,
            repository_id=published.manifest.repository_id,
            manifest_sha256=published.sha256,
            started_at=finished_at - timedelta(minutes=1),
            finished_at=finished_at,
            matched=matched,
            differences=() if matched else ("table public.equipment: 10 rows in the backup, 9 restored",),
            durations={"fetch": 1.0, "restore": 2.0, "compare": 1.0, "total": 4.0},
            checks={"tables": 3, "rows": 1000},
            server_version=180004,
            isolation="none (test)",
            host="test",
        )
        return self.catalog.record_proof(proof, signer=signer)
