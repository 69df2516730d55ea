"""A tree, its backups and a restore of them, for tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from backstop.commands.progress import Silent
from backstop.commands.trees.restore import TreeRestore
from backstop.commands.trees.settings import TreeRestoreSettings
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, TrustedSigners, create_signing_keys
from backstop.storage.posix import PosixStorage
from tests.making import STARTED, Maker
from tests.tree_making import TreeMaker

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.commands.trees.plan import TreeSwapOutcome
    from backstop.model.backup import BackupLabel

NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
STAMP = "20261124T120000Z"


@dataclass
class Site:
    """A machine with a tree: ``srv/media`` and ``etc`` below ``folder``."""

    folder: Path
    made: int = 0
    maker: Maker = field(init=False)
    media: Path = field(init=False)

    def __post_init__(self) -> None:
        vault = self.folder / "vault"
        vault.mkdir()
        keyring = LocalKeyring.create(vault / "keyring.json", STARTED)
        create_signing_keys(vault / "signing")
        self.maker = Maker(
            PosixStorage(vault / "repository"),
            keyring,
            Signer.load(vault / "signing" / "manifest.pem"),
            TrustedSigners.load(vault / "signing" / "trusted.json"),
        )
        self.media = self.folder / "srv" / "media"
        self.media.mkdir(parents=True)
        (self.folder / "scratch").mkdir(mode=0o700)

    def tree(self, **options: Any) -> TreeMaker:
        """For one backup; each has a label of its own."""
        self.made += 1
        return TreeMaker(self.maker, started_at=STARTED + timedelta(hours=self.made), **options)

    def back_up(self, *roots: Path) -> BackupLabel:
        return self.tree().back_up(*(roots or (self.media,))).manifest.label

    def restore(self, label: BackupLabel, **settings: Any) -> TreeRestore:
        patterns = settings.pop("patterns", (str(self.media),))
        return TreeRestore(
            repository=self.maker.repository,
            label=label,
            keyring=self.maker.keyring,
            settings=TreeRestoreSettings(scratch=self.folder / "scratch", patterns=patterns, **settings),
            clock=lambda: NOW,
            progress=Silent(),
        )


def carry_out(restore: TreeRestore, **what: Any) -> TreeSwapOutcome:
    """All steps; what was restored is equal to the backup."""
    restored = restore.restore_beside(restore.plan(**what))
    assert restore.validate(restored) == ()
    return restore.swap(restored)


def snapshot(folder: Path) -> dict[str, Any]:
    """What is in a folder: kinds, modes, contents, links."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name, status = str(path.relative_to(folder)), path.lstat()
        if path.is_symlink():
            found[name] = ("link", str(path.readlink()))
        elif path.is_file():
            found[name] = (oct(status.st_mode), path.read_bytes())
        else:
            found[name] = oct(status.st_mode)
    return found
