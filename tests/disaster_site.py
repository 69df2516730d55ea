"""A target with everything that can be lost: a server whose WAL flows, media, configuration."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from backstop.credentials import default_credentials
from backstop.model.access import AccessRole
from backstop.settings.disaster import Disasters
from backstop.targets import load_targets
from tests.cli.test_physical import TARGET, Site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backstop.commands.disaster.engine import Disaster


class DisasterSite(Site):
    """``near`` and ``far``; trees ``media`` and ``config``; two base backups, dumps and backups of files."""

    def prepare(self) -> None:
        self.media, self.config = self.folder / "srv" / "media", self.folder / "etc" / "app"
        for tree, names in ((self.media, ("a.jpg", "b.jpg")), (self.config, ("app.conf",))):
            tree.mkdir(parents=True)
            for name in names:
                (tree / name).write_text(f"{name} as it was\n")
        super().prepare()
        credentials = json.loads((self.folder / "connections.json").read_text())
        (self.folder / "connections.json").write_text(
            json.dumps({**credentials, "restorer": credentials["reader"]})
        )

    def describe(self, **disaster: Any) -> None:
        """targets.yaml with the trees, and with this ``disaster`` section."""
        written = self.write_targets(
            database={
                "conn_id": "reader",
                "restore_conn_id": "restorer",
                "dbname": "postgres",
                "repositories": ["near", "far"],
                "spool": str(self.folder / "spool"),
                "verify": {"isolation": "preferred"},
                "restore": {"allow_superuser": True},
                "objectives": {"rto": "1h", "rpo": "5m"},
            },
            trees={
                "media": {"paths": [str(self.media)], "objectives": {"rto": "4h", "rpo": "24h"}},
                "config": {"paths": [str(self.config)], "on_change": {}, "objectives": {"rto": "1h"}},
            },
            disaster=disaster,
        )
        written.replace(self.targets)

    def hold_the_start(self, reached: Path, *, behind_it: bool = False) -> None:
        """The command that starts the server says its process id and stays: time to be killed.

        :param behind_it: it starts the server first, and refuses to start one twice.
        """
        document = yaml.safe_load(self.targets.read_text())
        cutover = document["targets"][TARGET]["cluster"]["recovery"]["cutover"]
        [start] = cutover["start"]
        first = f"{shlex.join(start)} && " if behind_it else ""
        script = f"{first}echo $$ > {reached}.new; mv {reached}.new {reached}; exec sleep 100"
        cutover["start"] = [["sh", "-c", script]]
        self.targets.write_text(yaml.safe_dump(document))

    def start_once(self) -> None:
        """The command that starts the server fails when one runs."""
        document = yaml.safe_load(self.targets.read_text())
        cutover = document["targets"][TARGET]["cluster"]["recovery"]["cutover"]
        [start] = cutover["start"]
        there = self.server.data / "postmaster.pid"
        cutover["start"] = [["sh", "-c", f"test ! -e {there} && {shlex.join(start)}"]]
        self.targets.write_text(yaml.safe_dump(document))

    def disasters(self, **others: Any) -> Disasters:
        return Disasters(
            load_targets(self.targets),
            TARGET,
            default_credentials(AccessRole.VERIFIER),
            **{"by": "ada@test", **others},
        )

    def declare(self, what: str = "the disk of db1 died", **others: Any) -> Disaster:
        return self.disasters().declare(what, **others)

    def lose_the_server(self) -> None:
        """As a dying disk does: the server first, then everything it had."""
        os.kill(self.server.pid, signal.SIGKILL)
        self.server.stop()
        shutil.rmtree(self.server.data)

    def names(self, tree: Path) -> list[str]:
        return sorted(path.name for path in tree.iterdir())


@contextmanager
def disaster_site() -> Iterator[DisasterSite]:
    """One of its own, with backups of everything."""
    folder = Path(tempfile.mkdtemp(prefix="backstop-lost-"))
    folder.chmod(0o755)
    site = DisasterSite(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BACKSTOP_TARGETS", str(site.targets))
        patch.setenv("BACKSTOP_CREDENTIALS", str(folder / "connections.json"))
        try:
            site.prepare()
            site.describe()
            site.text("init-keys")
            site.start_archiver()
            site.keep_archiving()
            site.write(1)
            site.full = json.loads(site.text("take-base-backup", "--json")[0])
            for verb in (
                ["back-up-database"],
                *(["back-up-files", "--tree", one] for one in ("media", "config")),
            ):
                site.text(*verb)
            site.write(2)
            site.wait_until_archived()
            yield site
        finally:
            if site.archiver is not None:
                site.archiver.kill()
                site.archiver.wait()
            site.server.stop()
            shutil.rmtree(folder)
