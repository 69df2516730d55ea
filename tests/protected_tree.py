"""A file tree with two real repositories, and the commands on it with everything filled in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from backstop.commands.progress import Silent
from backstop.commands.trees.backup import back_up_files
from backstop.commands.trees.bursts import Rhythm
from backstop.commands.trees.comparison import WatchedTree
from backstop.commands.trees.settings import TreeBackupSettings
from backstop.commands.trees.watch import TreeWatch
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, TrustedSigners, create_signing_keys
from backstop.repository.catalog import Catalog, Repository
from backstop.storage.posix import PosixStorage

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.commands.backup_report import TreeBackupReport

QUICK = Rhythm(settle=timedelta(seconds=0.2), at_most=timedelta(seconds=2))


@dataclass
class ProtectedTree:
    """Tree ``config`` of target ``calibrify``: ``<folder>/tree`` and the units that a glob names."""

    folder: Path
    exclude: tuple[str, ...] = ()
    seconds: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        keys = self.folder / "keys"
        keys.mkdir(mode=0o700)
        create_signing_keys(keys / "signing")
        self.keyring = LocalKeyring.create(keys / "ring.json", self.now())
        self.trust = TrustedSigners.load(keys / "signing" / "trusted.json")
        self.signer = Signer.load(keys / "signing" / "manifest.pem")
        self.root = self.folder / "tree"
        self.units = self.folder / "units"
        self.root.mkdir()
        self.units.mkdir()
        self.repositories = [self._repository(name) for name in ("local", "far")]

    @property
    def patterns(self) -> tuple[str, ...]:
        return str(self.root), f"{self.units}/app*.service"

    def write(self, name: str, content: str = "content") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    def now(self) -> datetime:
        """Each backup has a second of its own."""
        return datetime.now(timezone.utc) + timedelta(seconds=self.seconds)

    def back_up(self) -> TreeBackupReport:
        self.seconds += 1
        return back_up_files(
            target="calibrify",
            tree="config",
            repositories=self.repositories,
            keyring=self.keyring,
            signer=self.signer,
            settings=TreeBackupSettings(
                staging=self.folder / "staging", patterns=self.patterns, exclude=self.exclude
            ),
            clock=self.now,
            holder="test",
            progress=Silent(),
        )

    def watched(self, **changes: Any) -> WatchedTree:
        return WatchedTree(
            **{
                "name": "config",
                "repositories": self.repositories,
                "keyring": self.keyring,
                "staging": self.folder / "staging",
                "patterns": self.patterns,
                "exclude": self.exclude,
                **changes,
            }
        )

    def watch(self, rhythm: Rhythm = QUICK, **options: Any) -> TreeWatch:
        said: list[str] = options.pop("said", [])
        return TreeWatch(self.watched(), rhythm, say=said.append, **options)

    def _repository(self, name: str) -> Repository:
        storage = PosixStorage(self.folder / name)
        return Repository(name, storage, Catalog(storage, "calibrify", trust=self.trust))
