"""One step with a large tree in a process of its own: what it needs of memory is then its own."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timezone
from pathlib import Path

from backstop.commands.progress import Silent
from backstop.commands.proof.tree import TreeVerifySettings, verify_tree
from backstop.commands.trees.backup import back_up_files
from backstop.commands.trees.restore import TreeRestore
from backstop.commands.trees.settings import TreeBackupSettings, TreeRestoreSettings
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, TrustedSigners
from backstop.repository.catalog import Catalog, Repository
from backstop.storage.posix import PosixStorage


def _now() -> datetime:
    return datetime.now(timezone.utc)


class Step:
    """:param place: has the tree, keys, a scratch folder and the repository."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.signing = place / "vault" / "signing"
        self.keyring = LocalKeyring.load(place / "vault" / "keyring.json")
        storage = PosixStorage(place / "repository")
        catalog = Catalog(storage, "large", trust=TrustedSigners.load(self.signing / "trusted.json"))
        self.repository = Repository("disk", storage, catalog)

    def backup(self) -> bool:
        report = back_up_files(
            target="large",
            tree="tree",
            repositories=[self.repository],
            keyring=self.keyring,
            signer=Signer.load(self.signing / "manifest.pem"),
            settings=TreeBackupSettings(staging=self.place / "scratch", patterns=(str(self.place / "tree"),)),
            clock=_now,
            holder="test",
            progress=Silent(),
        )
        return set(report.repositories.values()) == {"completed"}

    def unchanged(self) -> bool:
        return self.backup()

    def verify(self) -> bool:
        return verify_tree(
            repository=self.repository,
            label=max(label for label, _ in self.repository.catalog.labels()),
            keyring=self.keyring,
            signer=Signer.load(self.signing / "proof.pem"),
            settings=TreeVerifySettings(scratch=self.place / "scratch"),
            clock=_now,
            progress=Silent(),
        ).matched

    def restore(self) -> bool:
        restore = TreeRestore(
            repository=self.repository,
            label=max(label for label, _ in self.repository.catalog.labels()),
            keyring=self.keyring,
            settings=TreeRestoreSettings(scratch=self.place / "scratch"),
            clock=_now,
            progress=Silent(),
        )
        restored = restore.restore_beside(restore.plan(destination=self.place / "restored"))
        differences = restore.validate(restored)
        if not differences:
            restore.swap(restored)
        return not differences


if __name__ == "__main__":
    print(json.dumps({"well": getattr(Step(Path(sys.argv[2])), sys.argv[1])()}))
