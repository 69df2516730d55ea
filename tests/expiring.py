"""Repositories for tests of expiry: manifests, proofs and payload by the dozen, without any encryption."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from backstop.commands.expiry.settings import ExpirySettings
from backstop.crypto.signing import Signer, TrustedSigners, create_signing_keys
from backstop.model.backup import BackupKind, BackupLabel, Manifest, StoredObject
from backstop.model.canonical import sha256_hex
from backstop.model.lsn import Lsn
from backstop.model.proof import Proof
from backstop.model.retention import RetentionPolicy
from backstop.repository.catalog import Catalog, Published, Repository
from backstop.repository.wal_names import WalNames
from backstop.storage.memory import MemoryStorage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from backstop.storage.base import Storage

TODAY = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
CLUSTER = "7000000000000000001"
MIB = 1024 * 1024
THE_NEWEST = RetentionPolicy(keep_last=1, min_proven=1)


@dataclass(frozen=True)
class Signing:
    """Keys of one session: making them takes longer than a test."""

    manifests: Signer
    proofs: Signer
    trust: TrustedSigners

    @classmethod
    def create(cls, folder: Path) -> Signing:
        create_signing_keys(folder)
        return cls(
            Signer.load(folder / "manifest.pem"),
            Signer.load(folder / "proof.pem"),
            TrustedSigners.load(folder / "trusted.json"),
        )


@dataclass
class World:
    """One target in one repository; ``day`` counts back from today."""

    signing: Signing
    storage: Storage = field(default_factory=lambda: MemoryStorage(clock=lambda: TODAY))
    target: str = "calibrify"
    name: str = "local"
    now: datetime = TODAY
    policy: RetentionPolicy = THE_NEWEST
    policies: dict[str, RetentionPolicy] = field(default_factory=dict)
    repository: Repository = field(init=False)

    def __post_init__(self) -> None:
        catalog = Catalog(self.storage, self.target, trust=self.signing.trust)
        catalog.repository_id(create=True)
        self.repository = Repository(self.name, self.storage, catalog)

    @property
    def catalog(self) -> Catalog:
        return self.repository.catalog

    def clock(self) -> datetime:
        return self.now

    @property
    def settings(self) -> ExpirySettings:
        return ExpirySettings(
            policies=lambda label: self.policies.get(label.lease_kind, self.policy), holder="expire in tests"
        )

    # -- What lies there -------------------------------------------------------------------------------------

    def dump(self, day: float, *, objects: int = 2, proven: bool = True, rows: int = 1000) -> BackupLabel:
        label = BackupLabel.at(self._at(day), BackupKind.DUMP)
        stored = [self._put(label, f"t/{number}") for number in range(objects)]
        return self._publish(label, stored, proven=proven, summary={"rows": rows})

    def base(
        self,
        day: float,
        *,
        parent: BackupLabel | None = None,
        start: int = 0,
        proven: bool = True,
        system_id: str = CLUSTER,
        start_lsn: str = "",
    ) -> BackupLabel:
        """:param start: the segment of 16 MiB in which it begins; it is consistent in the next one."""
        label = BackupLabel.at(self._at(day), BackupKind.INCREMENTAL if parent else BackupKind.FULL)
        chain: tuple[BackupLabel, ...] = ()
        if parent is not None:
            chain = (*self.catalog.backup(parent).manifest.refers_to, parent)
        return self._publish(
            label,
            [self._put(label, "base/000001"), self._put(label, "backup_manifest")],
            proven=proven,
            summary={"wal_segment_bytes": 16 * MIB},
            parent=parent,
            refers_to=chain,
            system_id=system_id,
            timeline=1,
            start_lsn=start_lsn or str(Lsn(start * 16 * MIB + 40)),
            end_lsn=str(Lsn((start + 1) * 16 * MIB + 40)),
        )

    def tree(
        self,
        day: float,
        *,
        tree: str = "media",
        new: int = 2,
        earlier: Sequence[StoredObject] = (),
        proven: bool = True,
        files: int = 100,
    ) -> BackupLabel:
        """:param new: packs that it stores; :param earlier: those of earlier backups that it lists."""
        label = BackupLabel.at(self._at(day), BackupKind.TREE, tree=tree)
        own = [self._put(label, f"packs/{number}", layout="chunks") for number in range(new)]
        own.append(self._put(label, "files"))
        return self._publish(
            label,
            [*earlier, *own],
            proven=proven,
            summary={"files": files},
            refers_to=tuple(sorted({stored.origin for stored in earlier})),
            system_id="unknown",
        )

    def packs(self, label: BackupLabel) -> tuple[StoredObject, ...]:
        """Those that the backup lists."""
        manifest = self.catalog.backup(label).manifest
        return tuple(stored for stored in manifest.objects if stored.layout == "chunks")

    def wal(self, first: int, last: int, *, timeline: int = 1, system_id: str = CLUSTER) -> list[str]:
        """Whole segments ``first`` to ``last``; their keys."""
        names = WalNames(self.target, system_id)
        keys = []
        for number in range(first, last + 1):
            segment = f"{timeline:08X}{number // 256:08X}{number % 256:08X}"
            key = f"{names.timeline(timeline)}{segment}-{secrets.token_hex(8)}"
            self.storage.upload(key, b"wal")
            keys.append(key)
        return keys

    def _at(self, day: float) -> datetime:
        return TODAY - timedelta(days=day)

    def _put(self, label: BackupLabel, name: str, *, layout: str = "file") -> StoredObject:
        folder = f"trees/{label.tree}/{label}" if label.tree else f"database/{label}"
        key = f"{self.target}/data/{folder}/0123456789abcdef/{name}"
        body = secrets.token_bytes(20)
        info = self.storage.upload(key, body)
        sha256 = sha256_hex(body)
        return StoredObject(key, layout, name, len(body), len(body), sha256, sha256, info.version_id)

    def _publish(
        self, label: BackupLabel, stored: Sequence[StoredObject], *, proven: bool, **fields: object
    ) -> BackupLabel:
        started = datetime.strptime(label.text[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
        manifest = Manifest(
            label=label,
            target=self.target,
            repository_id=self.catalog.repository_id(),
            attempt="0123456789abcdef",
            epoch=1,
            started_at=started,
            snapshot_at=started,
            finished_at=started + timedelta(minutes=1),
            system_id=CLUSTER,
            timeline=1,
            server_version=180004,
            database="calibrify",
            tools={},
            keys=("k",),
            objects=tuple(stored),
        )
        published = self.catalog.publish(
            replace(manifest, **fields),  # type: ignore[arg-type]
            signer=self.signing.manifests,
            ensure_held=lambda: None,
        )
        if proven:
            self.prove(published)
        return label

    def prove(self, published: Published, *, matched: bool = True, minutes: int = 10) -> None:
        finished = published.manifest.finished_at + timedelta(minutes=minutes)
        proof = Proof(
            label=published.manifest.label,
            target=self.target,
            repository_id=published.manifest.repository_id,
            manifest_sha256=published.sha256,
            started_at=finished,
            finished_at=finished,
            matched=matched,
            differences=() if matched else ("a table differs",),
            durations={},
            checks={},
            server_version=180004,
            isolation="none (test)",
            host="test",
        )
        self.catalog.record_proof(proof, signer=self.signing.proofs)

    # -- What must hold --------------------------------------------------------------------------------------

    def labels(self) -> set[BackupLabel]:
        return {label for label, _ in self.catalog.labels()}

    def stored(self, prefix: str = "") -> set[str]:
        """Everything that takes space."""
        return {version.key for version in self.storage.versions(prefix)}

    def require_whole(self) -> None:
        """Whatever is published has all its objects, and all backups that it needs."""
        there = {info.key: info.size_bytes for info in self.storage.list(f"{self.target}/data/")}
        labels = self.labels()
        for label in labels:
            manifest = self.catalog.backup(label).manifest
            lost = [one.key for one in manifest.objects if there.get(one.key) != one.stored_bytes]
            assert not lost, f"{label} lacks {lost}"
            if label.kind.physical:
                assert set(manifest.refers_to) <= labels, f"{label} lacks what it builds on"

    def require_no_garbage(self) -> None:
        """Nothing takes space that no manifest names, and nothing is left of what has gone."""
        named = {
            stored.key for label in self.labels() for stored in self.catalog.backup(label).manifest.objects
        }
        data = {key for key in self.stored(f"{self.target}/data/") if "/data/wal/" not in key}
        assert data == named
        assert self.stored(f"{self.target}/meta/expiring/") == set()
        for folder in ("proofs", "holds", "pins"):
            prefix = f"{self.target}/meta/{folder}/"
            found = {key[len(prefix) :].partition("/")[0] for key in self.stored(prefix)}
            assert found <= {label.text for label in self.labels()}
