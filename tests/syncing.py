"""Repositories to be kept in step, for tests that need no encryption: a copy never opens what it copies."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from backstop.commands.progress import Silent
from backstop.commands.sync.settings import SyncSettings
from backstop.commands.sync.sync import sync_repositories
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, TrustedSigners, create_signing_keys
from backstop.errors import StorageError, StorageUnavailableError
from backstop.model.backup import BackupKind, BackupLabel, StoredObject
from backstop.model.lsn import MEBIBYTE, Lsn, WalSegment
from backstop.repository.catalog import Catalog, Repository
from backstop.repository.wal_names import WalNames
from backstop.storage.memory import MemoryStorage
from tests.making import STARTED, Maker

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from backstop.commands.sync.report import SyncReport
    from backstop.repository.catalog import Published
    from backstop.storage.base import Storage

TARGET = "calibrify"
SYSTEM_ID = "7000000000000000001"
SEGMENT_BYTES = MEBIBYTE


class Killed(BaseException):
    """The worker is gone: nothing that it would do next happens."""


class Worn(MemoryStorage):
    """A storage that can be switched off, or dies with the worker at a chosen call."""

    def __init__(self, name: str, objects: Mapping[str, bytes] | None = None, **options: Any) -> None:
        super().__init__(name, **options)
        self.down = False
        self.calls = 0
        self.dies_at: int | None = None
        self.forbidden: str | None = None
        """Keys that begin so may be listed and put, not looked at."""
        for key, body in (objects or {}).items():
            super().upload(key, body)

    def _pass(self, name: str, *given: Any, **named: Any) -> Any:
        if self.down:
            raise StorageUnavailableError(f"{self.location} is switched off")
        self.calls += 1
        if self.dies_at is not None and self.calls >= self.dies_at:
            raise Killed
        return getattr(MemoryStorage, name)(self, *given, **named)

    def put_once(self, key, data):
        return self._pass("put_once", key, data)

    def upload(self, key, source):
        return self._pass("upload", key, source)

    def read(self, key, **named):
        self._refuse(key)
        return self._pass("read", key, **named)

    def check(self):
        return self._pass("check")

    def stat(self, key):
        self._refuse(key)
        return self._pass("stat", key)

    def _refuse(self, key: str) -> None:
        if self.forbidden is not None and key.startswith(self.forbidden):
            raise StorageError(f"{self.location}/{key}: not allowed")

    def list(self, prefix):
        return self._pass("list", prefix)

    def snapshot(self) -> dict[str, Any]:
        return dict(self._objects)

    def restore(self, snapshot: dict[str, Any]) -> None:
        self._objects = dict(snapshot)

    def replace(self, key: str, data: bytes) -> None:
        """Damage, or what no writer may do."""
        self.delete(key)
        super().upload(key, data)


@dataclass
class Repositories:
    """Several repositories of one target; a backup is written into those that are named."""

    folder: Path
    storages: dict[str, Storage]
    now: datetime = STARTED + timedelta(days=1)
    made: int = 0
    settings: SyncSettings = field(init=False)

    def __post_init__(self) -> None:
        create_signing_keys(self.folder / "signing")
        self.keyring = LocalKeyring.create(self.folder / "ring.json", datetime.now(timezone.utc))
        self.trust = TrustedSigners.load(self.folder / "signing" / "trusted.json")
        self.signer = Signer.load(self.folder / "signing" / "manifest.pem")
        self.proof_signer = Signer.load(self.folder / "signing" / "proof.pem")
        self.settings = SyncSettings(
            staging=self.folder / "staging",
            places=lambda label: list(self.storages),
            wal_places=list(self.storages),
        )

    @property
    def repositories(self) -> list[Repository]:
        return [self.repository(name) for name in self.storages]

    def repository(self, name: str) -> Repository:
        storage = self.storages[name]
        return Repository(name, storage, Catalog(storage, TARGET, trust=self.trust))

    def sync(self, *, settings: Mapping[str, Any] | None = None, **changes: Any) -> SyncReport:
        """``sync-repositories``; keyword arguments replace the command's."""
        return sync_repositories(
            **{
                "target": TARGET,
                "repositories": self.repositories,
                "signer": self.signer,
                "settings": replace(self.settings, **(settings or {})),
                "clock": lambda: self.now,
                "holder": "test",
                "progress": Silent(),
                **changes,
            }
        )

    # -- What is written -------------------------------------------------------------------------------------

    def back_up(
        self,
        *into: str,
        kind: BackupKind = BackupKind.DUMP,
        tree: str = "",
        objects: int = 2,
        earlier: Iterable[StoredObject] = (),
        **fields: Any,
    ) -> BackupLabel:
        """The same backup in each of these repositories, an hour after the one before."""
        self.made += 1
        started_at = STARTED + timedelta(hours=self.made)
        self.now = max(self.now, started_at + timedelta(hours=1))
        label = BackupLabel.at(started_at, kind, tree=tree)
        attempt = secrets.token_hex(8)
        bodies = [secrets.token_bytes(100 + number) for number in range(objects)]
        for name in into:
            maker = Maker(self.storages[name], self.keyring, self.signer, self.trust, name=name)
            stored = [put(maker.storage, label, attempt, number, body) for number, body in enumerate(bodies)]
            manifest = replace(
                maker.manifest(label, [*earlier, *stored], started_at), attempt=attempt, **fields
            )
            maker.catalog.publish(manifest, signer=self.signer, ensure_held=lambda: None)
        return label

    def base_backup(
        self, *into: str, segment: int = 5, parent: BackupLabel | None = None, **fields: Any
    ) -> BackupLabel:
        """A base backup that needs one WAL segment."""
        chain = (parent,) if parent else ()
        wal = WalSegment(1, segment, SEGMENT_BYTES)
        return self.back_up(
            *into,
            kind=BackupKind.INCREMENTAL if parent else BackupKind.FULL,
            parent=parent,
            refers_to=chain,
            start_lsn=str(wal.start),
            end_lsn=str(Lsn(wal.start.position + 4096)),
            summary={"wal_segment_bytes": SEGMENT_BYTES},
            **fields,
        )

    def segments(self, name: str, numbers: Iterable[int], *, content: str = "") -> list[str]:
        """Whole WAL segments; the hash in their names is of ``content`` and the number."""
        names = WalNames(TARGET, SYSTEM_ID)
        keys = []
        for number in numbers:
            sha256 = hashlib.sha256(f"{content}{number}".encode()).hexdigest()
            key = names.segment(WalSegment(1, number, SEGMENT_BYTES), sha256)
            self.storages[name].upload(key, secrets.token_bytes(64))
            keys.append(key)
        return keys

    # -- What is there ---------------------------------------------------------------------------------------

    def published(self, name: str, label: BackupLabel) -> Published:
        return self.repository(name).catalog.backup(label)

    def content(self, name: str) -> dict[str, Any]:
        """What must be the same everywhere: backups with their objects' hashes, and the WAL's names."""
        listing = self.repository(name).catalog.backups()
        assert listing.unreadable == ()
        backups: dict[str, Any] = {
            one.manifest.label.text: [(stored.key, stored.stored_sha256) for stored in one.manifest.objects]
            for one in listing.backups
        }
        return {**backups, "wal": [info.key for info in self.storages[name].list(f"{TARGET}/data/wal/")]}

    def broken_promises(self, name: str) -> list[str]:
        """Keys that some manifest names, and that are absent or hold something else."""
        storage = self.storages[name]
        broken = []
        for one in self.repository(name).catalog.backups().backups:
            for stored in one.manifest.objects:
                there = storage.stat(stored.key)
                if (
                    there is None
                    or hashlib.sha256(storage.read(stored.key)).hexdigest() != stored.stored_sha256
                ):
                    broken.append(stored.key)
        return broken


def put(storage: Storage, label: BackupLabel, attempt: str, number: int, body: bytes) -> StoredObject:
    """Upload one object of a backup, of a dump or a tree, as it is."""
    below = f"trees/{label.tree}" if label.tree else "database"
    key = f"{TARGET}/data/{below}/{label}/{attempt}/{'packs' if label.tree else 't'}/{number}"
    storage.upload(key, body)
    sha256 = hashlib.sha256(body).hexdigest()
    return StoredObject(
        key=key,
        layout="chunks" if label.tree else "file",
        name=f"{attempt}-{number}" if label.tree else f"{number}.dat",
        plain_bytes=len(body),
        stored_bytes=len(body),
        plain_sha256=sha256,
        stored_sha256=sha256,
    )
