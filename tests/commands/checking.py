"""Two repositories with the same backups, and what may happen to their bytes."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from backstop.commands.check.check import check_objects
from backstop.commands.check.settings import CheckSettings
from backstop.commands.progress import Silent
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, TrustedSigners, create_signing_keys
from backstop.model.backup import BackupKind, BackupLabel, StoredObject
from backstop.model.canonical import sha256_hex
from backstop.model.lsn import MEBIBYTE, WalSegment
from backstop.repository.catalog import in_repository
from backstop.repository.wal_names import WalNames
from backstop.repository.wal_sealing import seal_delta, seal_segment
from backstop.storage.posix import PosixStorage
from tests.making import STARTED, Maker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backstop.commands.check.report import CheckReport
    from backstop.repository.catalog import Published
    from backstop.storage.base import Storage

SYSTEM = "7000000000000000001"
NOW = datetime(2026, 11, 29, 4, tzinfo=timezone.utc)


@dataclass
class CheckWorld:
    """Repositories ``local`` and ``far``, directories unless told otherwise."""

    folder: Path
    storages: dict[str, Storage] = field(default_factory=dict)

    def __post_init__(self) -> None:
        create_signing_keys(self.folder / "signing")
        self.keyring = LocalKeyring.create(self.folder / "ring.json", STARTED)
        self.signer = Signer.load(self.folder / "signing" / "manifest.pem")
        self.verifier = Signer.load(self.folder / "signing" / "proof.pem")
        trust = TrustedSigners.load(self.folder / "signing" / "trusted.json")
        for name in ("local", "far"):
            self.storages.setdefault(name, PosixStorage(self.folder / name))
        self.local, self.far = (
            Maker(self.storages[name], self.keyring, self.signer, trust, name=name)
            for name in ("local", "far")
        )
        self.names = WalNames("calibrify", SYSTEM)

    def publish(
        self, number: int = 0, *, size_bytes: int = 3000, objects: int = 3, sealed: bool = False
    ) -> Published:
        """One dump in both, of the same ciphertext.

        :param sealed: so that it can be restored; else its ciphertext is made up, which no check can tell.
        """
        content = random.Random(number)
        files = {f"{1000 + n}.dat": content.randbytes(size_bytes) for n in range(objects)}
        started_at = STARTED + timedelta(days=number)
        if sealed:
            published = self.local.publish(started_at=started_at, files=files)
        else:
            label = BackupLabel.at(started_at, BackupKind.DUMP)
            stored = [self._make_up(label, name, body) for name, body in files.items()]
            manifest = self.local.manifest(label, stored, started_at)
            published = self.local.catalog.publish(manifest, signer=self.signer, ensure_held=lambda: None)
        version_ids = {}
        for one in published.manifest.objects:
            version_ids[one.key] = self.far.storage.upload(one.key, self.read(one.key)).version_id
        there = in_repository(
            replace(published.manifest, signature=None),
            repository_id=self.far.catalog.repository_id(),
            epoch=1,
            version_ids=version_ids,
        )
        self.far.catalog.publish(there, signer=self.signer, ensure_held=lambda: None)
        return published

    def _make_up(self, label: BackupLabel, name: str, body: bytes) -> StoredObject:
        key = f"calibrify/data/database/{label}/0123456789abcdef/t/{name}"
        version_id = self.local.storage.upload(key, body).version_id
        sha256 = sha256_hex(body)
        return StoredObject(key, "file", name, len(body), len(body), sha256, sha256, version_id)

    def put_wal(self, number: int, *, into: tuple[str, ...] = ("local", "far")) -> str:
        """A segment in both, of the same ciphertext; returns its key."""
        key, body = self.seal_wal(number, random.Random(number).randbytes(MEBIBYTE))
        for name in into:
            self.storages[name].upload(key, body)
        return key

    def seal_wal(self, number: int, data: bytes) -> tuple[str, bytes]:
        sealed = seal_segment(
            self.names, WalSegment(1, number, MEBIBYTE), io.BytesIO(data), None, keyring=self.keyring
        )
        assert isinstance(sealed.body, bytes)
        return sealed.key, sealed.body

    def put_piece(self, number: int) -> str:
        segment = WalSegment(1, number, MEBIBYTE)
        sealed = seal_delta(self.names, segment, offset_bytes=0, data=b"growing" * 9, keyring=self.keyring)
        for storage in self.storages.values():
            storage.put_once(sealed.key, sealed.body)
        return sealed.key

    # -- Damage --------------------------------------------------------------------------------------------

    def path(self, key: str, name: str = "local") -> Path:
        return self.folder / name / key

    def read(self, key: str, name: str = "local") -> bytes:
        return self.storages[name].read(key)

    def flip(self, key: str, name: str = "local", *, at: int | None = None) -> None:
        path = self.path(key, name)
        data = bytearray(path.read_bytes())
        data[len(data) // 2 if at is None else at] ^= 1
        path.write_bytes(data)

    # -- Checking ------------------------------------------------------------------------------------------

    def check(
        self, name: str = "local", *, clock: Callable[[], datetime] = lambda: NOW, **changes: Any
    ) -> CheckReport:
        """Everything, unless told otherwise."""
        arguments = {"keyring": self.keyring, "signer": self.verifier, "progress": Silent()}
        for given in ("keyring", "signer", "progress", "inventory"):
            if given in changes:
                arguments[given] = changes.pop(given)
        makers = {"local": self.local, "far": self.far}
        repository = changes.pop("repository", makers.pop(name).repository)
        settings = {"staging": self.folder / "staging", "share": 1.0, **changes}
        return check_objects(
            repository=repository,
            others=[maker.repository for maker in makers.values()],
            settings=CheckSettings(**settings),
            clock=clock,
            holder="test",
            **arguments,
        )


def keys_of(published: Published) -> list[str]:
    return [stored.key for stored in published.manifest.objects]
