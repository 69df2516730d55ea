"""A protected file tree with a real repository, for tests of whole commands."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from backstop.commands.progress import Silent
from backstop.commands.proof.tree import TreeVerifySettings, verify_tree
from backstop.commands.trees.backup import back_up_files
from backstop.commands.trees.settings import TreeBackupSettings
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, TrustedSigners, create_signing_keys
from backstop.model.backup import BackupLabel
from backstop.repository.catalog import Catalog, Repository
from backstop.storage.posix import PosixStorage
from tests.making import STARTED

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.model.backup import Manifest, StoredObject
    from backstop.model.proof import Proof


@dataclass
class TreeProtection:
    """Tree ``media`` of target ``calibrify``; the clock goes on a minute with every backup."""

    folder: Path
    tree: str = "media"
    now: datetime = STARTED
    patterns: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        create_signing_keys(self.folder / "signing")
        self.keyring = LocalKeyring.create(self.folder / "ring.json", datetime.now(timezone.utc))
        self.trust = TrustedSigners.load(self.folder / "signing" / "trusted.json")
        self.manifest_signer = Signer.load(self.folder / "signing" / "manifest.pem")
        self.proof_signer = Signer.load(self.folder / "signing" / "proof.pem")
        self.storage = PosixStorage(self.folder / "repository")
        self.live = self.folder / "live"
        self.live.mkdir()
        self.scratch = self.folder / "scratch"

    @property
    def repository(self) -> Repository:
        return Repository("local", self.storage, Catalog(self.storage, "calibrify", trust=self.trust))

    def clock(self) -> datetime:
        return self.now

    def back_up(self, **settings: Any) -> BackupLabel:
        self.now += timedelta(minutes=1)
        report = back_up_files(
            target="calibrify",
            tree=self.tree,
            repositories=[self.repository],
            keyring=self.keyring,
            signer=self.manifest_signer,
            settings=TreeBackupSettings(
                staging=self.folder / "staging",
                patterns=tuple(self.patterns or [str(self.live)]),
                **settings,
            ),
            clock=self.clock,
            holder="test",
            progress=Silent(),
        )
        return BackupLabel(report.label)

    def prove(self, label: BackupLabel, **settings: Any) -> Proof:
        self.now += timedelta(minutes=1)
        return verify_tree(
            repository=self.repository,
            label=label,
            keyring=self.keyring,
            signer=self.proof_signer,
            settings=TreeVerifySettings(scratch=self.scratch, **settings),
            clock=self.clock,
            progress=Silent(),
        )

    def manifest(self, label: BackupLabel) -> Manifest:
        return self.repository.catalog.backup(label).manifest

    def packs(self, label: BackupLabel, *, of_list: bool = False) -> list[StoredObject]:
        """Of content, or of the list."""
        packs = [one for one in self.manifest(label).objects if one.layout == "chunks"]
        return [one for one in packs if ("-l" in one.name) is of_list]

    def file_of(self, stored: StoredObject) -> Path:
        return self.folder / "repository" / stored.key
