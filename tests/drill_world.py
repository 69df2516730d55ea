"""A protected cluster with two file trees, to be lost in drills; for tests of whole commands."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backstop.commands.drill.drill import Drill
from backstop.commands.drill.folder import DrillFolder
from backstop.commands.drill.serving import serving
from backstop.commands.drill.settings import DatabaseDrill, DrillSettings, TreeDrill
from backstop.commands.progress import Silent
from backstop.commands.proof.base import verify_base_backup
from backstop.commands.proof.tree import TreeVerifySettings, verify_tree
from backstop.commands.trees.backup import back_up_files
from backstop.commands.trees.settings import TreeBackupSettings, TreeRestoreSettings
from backstop.model.backup import BackupLabel
from backstop.model.measured import CheckedItem, Outcome
from backstop.repository.pins import readers
from tests.protection import utc_now

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from backstop.commands.drill.restored import RestoredComponent
    from backstop.model.drill import DrillRecord
    from backstop.model.drill_plan import DrillPlan
    from backstop.model.drill_samples import Sample
    from backstop.model.proof import Proof
    from backstop.repository.catalog import Repository
    from backstop.storage.base import Storage
    from tests.recovery_world import World

TREES = ("config", "media")


@dataclass
class Around:
    """What a drill asks of others, as a test wants it; what it was told is kept."""

    before: list[tuple[str, datetime]] = field(default_factory=list)
    seen: list[tuple[datetime, timedelta | None]] = field(default_factory=list)
    checks: Any = None
    records: list[DrillRecord] = field(default_factory=list)

    def drilled(self) -> Sequence[tuple[str, datetime]]:
        return self.before

    def restores(self) -> Mapping[str, Sequence[Sample]]:
        return {}

    def losses(self, repository: str, moment: datetime) -> Sequence[tuple[datetime, timedelta | None]]:
        return self.seen

    def check(self, plan: DrillPlan, restored: Sequence[RestoredComponent]) -> Sequence[CheckedItem]:
        if self.checks:
            return self.checks(plan, restored)
        return [CheckedItem("restore", one.component, Outcome.PASSED, "it is back") for one in restored]

    def stop(self, plan: DrillPlan) -> Sequence[str]:
        return ()

    def keep(self, plan: DrillPlan, record: DrillRecord) -> Sequence[str]:
        self.records.append(record)
        return ()


class Noted(DrillFolder):
    """Notes every folder it makes: what is called after it may lie elsewhere."""

    def component(self, folder: Path, component: str) -> Path:
        made = super().component(folder, component)
        with (self.directory.parent / "made").open("a") as notes:
            notes.write(f"{made.name}\n")
        return made


class DrillWorld:
    """A cluster, ``config`` (which comes back first) and ``media``, in whatever repositories it was given."""

    def __init__(self, world: World, **storages: Storage) -> None:
        self.world = world
        self.folder = world.folder
        self.protection = world.protection
        self.protection.storages.update(storages)
        self.scratch = self.folder / "drills"
        self.scratch.mkdir(mode=0o711)
        self.live = self.folder / "live"
        for tree in TREES:
            (self.live / tree).mkdir(parents=True)
            (self.live / tree / "first.txt").write_text(f"{tree} 1\n")
        self.around = Around()
        self.opened: dict[str, int] = defaultdict(int)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.protection.storages)

    def settings(self, **changes: Any) -> DrillSettings:
        protection = self.protection
        return replace(
            DrillSettings(
                target=protection.target,
                directory=self.scratch,
                database=DatabaseDrill(repositories=self.names, dbname="postgres", physical=True),
                trees={
                    tree: TreeDrill(
                        repositories=self.names,
                        restore=TreeRestoreSettings(
                            scratch=self.folder / "staging",
                            after_restore=[["touch", str(self.folder / "live-touched")]],
                        ),
                        first=tree == "config",
                    )
                    for tree in TREES
                },
                hide=[protection.keys],
            ),
            **changes,
        )

    def drill(self, *, attended: bool = True, **changes: Any) -> Drill:
        """Keyword arguments replace its settings."""
        made = Drill(
            settings=self.settings(**changes),
            open_repository=self.open,
            keyring=lambda: self.protection.keyring,
            surroundings=self.around,
            clock=self.protection.clock,
            progress=Silent(),
            attended=attended,
        )
        made.folder = Noted(self.scratch, self.protection.target)
        return made

    def open(self, name: str) -> Repository:
        self.opened[name] += 1
        return self.protection.repository(name)

    def write(self, count: int = 3) -> None:
        """Rows, and a file in each tree, and all WAL of it stored."""
        self.world.source.ledger.write(count)
        for tree in TREES:
            number = len(list((self.live / tree).iterdir())) + 1
            (self.live / tree / f"{number}.txt").write_text(f"{tree} {number}\n")

    def back_up_trees(self, *trees: str) -> dict[str, str]:
        """By tree, the label."""
        protection = self.protection
        return {
            tree: back_up_files(
                target=protection.target,
                tree=tree,
                repositories=protection.repositories,
                keyring=protection.keyring,
                signer=protection.manifest_signer,
                settings=TreeBackupSettings(
                    staging=self.folder / "staging", patterns=(str(self.live / tree),)
                ),
                clock=protection.clock,
                holder="test",
                progress=Silent(),
            ).label
            for tree in trees or TREES
        }

    def prove(self, label: str, repository: str = "local") -> Proof:
        """Of a base backup or a tree."""
        common = {
            "repository": self.protection.repository(repository),
            "label": BackupLabel(label),
            "keyring": self.protection.keyring,
            "signer": self.protection.proof_signer,
            "clock": self.protection.clock,
            "progress": Silent(),
        }
        if BackupLabel(label).tree:
            return verify_tree(**common, settings=TreeVerifySettings(scratch=self.folder / "staging"))
        return verify_base_backup(**common, settings=self.protection.verify)

    def ledger(self, restored: RestoredComponent) -> list[int]:
        """What the restored database has."""
        with serving(restored) as connection, connection.connect() as session:
            return [row[0] for row in session.execute("SELECT n FROM public.ledger ORDER BY n").fetchall()]

    def files(self, restored: RestoredComponent, tree: str) -> list[str]:
        """Names in the restored tree."""
        return sorted(
            path.name for path in Path(f"{restored.root}{self.live / tree}").iterdir() if path.is_file()
        )

    def leftovers(self) -> list[str]:
        """Whatever a drill may have left: folders, sockets, marks in repositories."""
        found = [str(path) for path in self.scratch.iterdir()]
        notes = self.folder / "made"
        made = notes.read_text().split() if notes.exists() else []
        found += [
            str(path)
            for path in Path("/tmp").glob("backstop-socket-*")  # noqa: S108 where a long path's goes
            if any(path.name.endswith(name) for name in made)
        ]
        for repository in self.protection.repositories:
            for published in repository.catalog.backups().backups:
                label = published.manifest.label
                found += [
                    f"{one.holder} in {repository.name}"
                    for one in readers(repository.storage, self.protection.target, label, now=utc_now())
                ]
        return found
