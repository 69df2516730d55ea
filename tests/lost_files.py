"""A target of which only files are backed up, in two repositories: disasters without a server, in no time."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from pathlib import Path  # noqa: TC003 the fields of a dataclass
from typing import TYPE_CHECKING, Any

import yaml

from backstop.cli.main import main
from backstop.credentials import default_credentials
from backstop.model.access import AccessRole
from backstop.settings.disaster import Disasters
from backstop.targets import load_targets

if TYPE_CHECKING:
    import pytest

    from backstop.commands.disaster.engine import Disaster

TARGET = "calibrify"
KEPT = {"as it was", "connections.json", "ring.json", "signing", "targets.yaml"}


class LostFiles:
    """Trees ``media`` and ``config``; the database's server is nowhere."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.media, self.config = folder / "srv" / "media", folder / "etc" / "app"
        self.targets = folder / "targets.yaml"
        self.told: list[str] = []
        for tree, names in ((self.media, ("a.jpg", "b.jpg")), (self.config, ("app.conf",))):
            tree.mkdir(parents=True)
            for name in names:
                (tree / name).write_text(f"{name} as it was\n")
        credentials = folder / "connections.json"
        credentials.touch(mode=0o600)
        nowhere = {"conn_type": "postgres", "host": str(folder), "port": 1, "login": "reader"}
        credentials.write_text(json.dumps({"reader": nowhere}))
        patch.setenv("BACKSTOP_TARGETS", str(self.targets))
        patch.setenv("BACKSTOP_CREDENTIALS", str(credentials))
        self.describe()
        self.text("init-keys")
        self.back_up()
        self._parts = (self.folder / "near", self.folder / "far", self.media.parent, self.config.parent)
        for part in self._parts:
            shutil.copytree(part, self.folder / "as it was" / part.name)

    def reset(self) -> None:
        """As after the backups: files, repositories, targets.yaml."""
        for path in self.folder.iterdir():
            if path.name not in KEPT:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for part in self._parts:
            part.parent.mkdir(exist_ok=True)
            shutil.copytree(self.folder / "as it was" / part.name, part)
        self.told.clear()
        self.describe()

    def describe(self, *, media: dict[str, Any] | None = None, **disaster: Any) -> None:
        """targets.yaml with this ``disaster`` section. :param media: further words about that tree."""
        keys = {
            "storage": "local",
            "path": f"{self.folder}/ring.json",
            "signing": f"{self.folder}/signing",
            "escrow": {"waived": "test"},
        }
        target = {
            "keys": "lab",
            "database": {
                "conn_id": "reader",
                "dbname": "calibrify",
                "repositories": ["near", "far"],
                "spool": str(self.folder / "spool"),
            },
            "trees": {
                "media": {
                    "paths": [str(self.media)],
                    "objectives": {"rto": "4h", "rpo": "24h"},
                    **(media or {}),
                },
                "config": {"paths": [str(self.config)], "on_change": {}, "objectives": {"rto": "1h"}},
            },
            "disaster": disaster,
        }
        repositories = {name: {"type": "posix", "path": str(self.folder / name)} for name in ("near", "far")}
        self.targets.write_text(
            yaml.safe_dump(
                {
                    "version": 1,
                    "keys": {"lab": keys},
                    "repositories": repositories,
                    "targets": {TARGET: target},
                }
            )
        )

    def back_up(self) -> None:
        for tree in ("media", "config"):
            self.text("back-up-files", "--tree", tree)

    def payload(self, tree: str, repository: str = "near") -> list[Path]:
        """Every stored object of a tree's backups in one repository."""
        found = (self.folder / repository / TARGET / "data" / "trees" / tree).rglob("*")
        return [path for path in found if path.is_file()]

    def disasters(self, **others: Any) -> Disasters:
        given = {"by": "ada@test", "tell": lambda _, moment: self.told.append(moment), **others}
        return Disasters(
            load_targets(self.targets), TARGET, default_credentials(AccessRole.VERIFIER), **given
        )

    def chosen(self, *components: str, option: str = "newest", **others: Any) -> Disaster:
        """An incident with a plan; by default the media are lost."""
        wanted = list(components) or ["tree:media"]
        disaster = self.disasters(**others).declare("the disk of media died", components=wanted)
        disaster.assess()
        disaster.choose(option, components=wanted)
        return disaster

    def text(self, *argv: str, code: int = 0) -> tuple[str, str]:
        """One verb: what it says on stdout and stderr."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            found = main(list(argv))
        assert found == code, out.getvalue() + err.getvalue()
        return out.getvalue(), err.getvalue()

    def run(self, *argv: str, code: int = 0) -> Any:
        """One verb with ``--json``: its document."""
        return json.loads(self.text(*argv, "--json", code=code)[0])


def content(tree: Path) -> dict[str, str]:
    """By name, of every file that people see."""
    return {path.name: path.read_text() for path in tree.iterdir() if not path.name.startswith(".")}


AS_IT_WAS = {name: f"{name} as it was\n" for name in ("a.jpg", "b.jpg")}
