"""A folder that is backed up to real repositories, and what is then in them, read without our restore."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from backstop.commands.progress import Silent
from backstop.commands.trees.backup import back_up_files
from backstop.commands.trees.listing import read_listing
from backstop.commands.trees.settings import TreeBackupSettings
from backstop.crypto.envelope import decrypt_to_file, object_context
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, TrustedSigners, create_signing_keys
from backstop.model.backup import BackupLabel
from backstop.repository.catalog import Catalog, Repository

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.commands.backup_report import TreeBackupReport
    from backstop.model.backup import Manifest
    from backstop.model.file_tree import Entry
    from backstop.storage.base import Storage


@dataclass
class ProtectedTree:
    """One tree of target ``calibrify``, its repositories and keys. The clock moves by itself."""

    folder: Path
    storages: dict[str, Storage]
    tree: str = "media"
    now: datetime = field(default_factory=lambda: datetime.now(timezone.utc))

    def __post_init__(self) -> None:
        self.source = self.folder / "source"
        self.source.mkdir(exist_ok=True)
        keys = self.folder / "keys"
        if not keys.exists():
            keys.mkdir(mode=0o700)
            LocalKeyring.create(keys / "keyring.json", self.now)
            create_signing_keys(keys / "signing")
        self.keyring = LocalKeyring.load(keys / "keyring.json")
        self.trust = TrustedSigners.load(keys / "signing" / "trusted.json")
        self.signer = Signer.load(keys / "signing" / "manifest.pem")
        self.settings = TreeBackupSettings(staging=self.folder / "staging", patterns=(str(self.source),))

    def clock(self) -> datetime:
        """A second passes each time: no backup waits for a label of its own."""
        self.now += timedelta(seconds=1)
        return self.now

    def repository(self, name: str = "local") -> Repository:
        return Repository(
            name, self.storages[name], Catalog(self.storages[name], "calibrify", trust=self.trust)
        )

    def back_up(self, *, settings: dict[str, Any] | None = None, **changes: Any) -> TreeBackupReport:
        """``back-up-files``; keyword arguments replace the command's."""
        return back_up_files(
            **{
                "target": "calibrify",
                "tree": self.tree,
                "repositories": [self.repository(name) for name in self.storages],
                "keyring": self.keyring,
                "signer": self.signer,
                "settings": replace(self.settings, **(settings or {})),
                "clock": self.clock,
                "holder": "test",
                "progress": Silent(),
                **changes,
            }
        )

    def manifest(self, report: TreeBackupReport, name: str = "local") -> Manifest:
        return self.repository(name).catalog.backup(BackupLabel(report.label)).manifest

    def labels(self, name: str = "local") -> list[str]:
        return [one.text for one, _ in self.repository(name).catalog.labels()]

    def entries(self, report: TreeBackupReport, name: str = "local") -> dict[bytes, Entry]:
        """By path below the source."""
        place = self.folder / f"list-{report.label}-{name}"
        place.mkdir(exist_ok=True)
        listing = read_listing(
            self.repository(name), self.manifest(report, name), keyring=self.keyring, folder=place
        )
        top = len(bytes(self.source)) - 1
        return {entry.path[top:].lstrip(b"/"): entry for entry in listing.entries()}

    def contents(self, report: TreeBackupReport, name: str = "local") -> dict[bytes, bytes]:
        """What every file of the backup holds, put together from its pieces with :mod:`tarfile`."""
        pieces = self._pieces(self.manifest(report, name), name)
        found: dict[bytes, bytes] = {}
        for path, entry in self.entries(report, name).items():
            if entry.kind.value == "file" and not entry.hard_link:
                content = bytearray(entry.size_bytes)
                for chunk in entry.chunks:
                    piece = pieces[chunk.pack, chunk.sha256]
                    content[chunk.offset : chunk.offset + chunk.size_bytes] = piece
                found[path] = bytes(content)
        return found

    def on_disk(self) -> dict[bytes, bytes]:
        """What every file of the source holds now."""
        files = (path for path in self.source.rglob("*") if path.is_file() and not path.is_symlink())
        return {bytes(path.relative_to(self.source)): path.read_bytes() for path in files}

    def _pieces(self, manifest: Manifest, name: str) -> dict[tuple[str, str], bytes]:
        found: dict[tuple[str, str], bytes] = {}
        for stored in manifest.objects:
            if stored.layout != "chunks":
                continue
            pack = self.folder / "pack.tar"
            context = object_context("calibrify", stored.origin.text, stored.key)
            with self.storages[name].open(stored.key, version_id=stored.version_id) as source:
                decrypt_to_file(source, pack, keyring=self.keyring, context=context, expected=stored)
            with tarfile.open(pack, "r:") as archive:
                for member in archive:
                    content = archive.extractfile(member)
                    assert content is not None
                    found[stored.name, member.name] = content.read()
        return found
