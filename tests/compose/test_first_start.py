"""A machine that dies while a PostgreSQL of docker-compose.yaml starts for the first time."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from embedded.home import CHECKOUT
from tests.compose.test_files import SERVICES, mounts

if TYPE_CHECKING:
    from pathlib import Path


class FirstStart:
    """first_start.sh with an entrypoint that makes a data directory as the image's does: version first."""

    def __init__(self, root: Path) -> None:
        self.live = root / "data" / "live"
        self.live.parent.mkdir(mode=0o700)
        self.programs = root / "bin"
        self.programs.mkdir(mode=0o700)
        self.script = CHECKOUT / "include/compose/first_start.sh"
        entrypoint = self.programs / "docker-entrypoint.sh"
        entrypoint.write_text(
            "#!/bin/bash\nset -e\n"
            '[ -s "$PGDATA/PG_VERSION" ] && { echo existing; exit 0; }\n'
            'mkdir -p "$PGDATA"; echo 17 > "$PGDATA/PG_VERSION"\n'
            '[ -z "$DIES" ] || exit 9\n'
            f'bash "{self.script}" done; echo initialised\n'
        )
        entrypoint.chmod(0o700)

    def run(self, *, dies: bool = False) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "PGDATA": str(self.live),
            "DIES": "yes" * dies,
        }
        return subprocess.run(
            ["bash", str(self.script), "postgres"],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip


def test_a_server_whose_first_start_was_cut_off_begins_anew(tmp_path: Path) -> None:
    start = FirstStart(tmp_path)

    assert start.run(dies=True).returncode == 9
    again = start.run()
    assert again.stdout == "initialised\n"
    assert "begins anew" in again.stderr
    assert len([*start.live.parent.glob("live.interrupted-*")]) == 1
    (start.live / "rows").write_text("a year of them")
    assert start.run().stdout == "existing\n"
    assert (start.live / "rows").exists()


def test_an_empty_server_never_takes_the_place_of_one_that_is_gone(tmp_path: Path) -> None:
    start = FirstStart(tmp_path)
    start.run()
    start.live.rename(tmp_path / "elsewhere")

    refused = start.run()

    assert refused.returncode == 1
    assert "next: put the data directory back" in refused.stderr
    assert not start.live.exists()


def test_a_server_from_before_these_notes_starts_as_it_is(tmp_path: Path) -> None:
    start = FirstStart(tmp_path)
    start.live.mkdir(mode=0o700)
    (start.live / "PG_VERSION").write_text("17\n")

    assert start.run().stdout == "existing\n"


def test_both_postgresql_note_their_first_start() -> None:
    for name in ("protected", "metadata"):
        assert mounts(SERVICES[name])["/first_start.sh"] == "./include/compose/first_start.sh"
        script = (CHECKOUT / f"include/compose/init_{name}.sh").read_text()
        assert script.endswith("bash /first_start.sh done\n")
    assert SERVICES["metadata"]["entrypoint"] == ["bash", "/first_start.sh"]
    assert SERVICES["metadata"]["command"] == ["postgres"]
    assert "bash /first_start.sh postgres" in (CHECKOUT / "include/compose/run_protected.sh").read_text()
