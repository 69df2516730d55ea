"""Spools: room, and folders of processes that are gone."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.commands.proof.record import sweep_scratch
from backstop.commands.staging import staging_directory
from backstop.commands.watch.part import ScratchSeen
from backstop.commands.watch.spools import look_at_spools
from backstop.model.finding import Level
from tests.protection import utc_now

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from backstop.commands.watch.part import Part

MIB = 1024**2
DIES = """
import os, sys
from pathlib import Path
from backstop.commands.staging import staging_directory
from backstop.postgres.scratch import _owned_directory

with staging_directory(Path(sys.argv[1]), "verify-0123456789abcdef") as folder, \\
        _owned_directory(Path(sys.argv[1])) as scratch:
    (folder / "dump").write_bytes(os.urandom(3 << 20))
    (scratch / "data").mkdir()
    (scratch / "data" / "heap").write_bytes(os.urandom(2 << 20))
    os.kill(os.getpid(), 9)
"""


def look(
    *spools: Path, later: timedelta = timedelta(0), free: float = 1e-9, told: Collection[Path] = ()
) -> Part:
    return look_at_spools(
        target="calibrify", spools=spools, repositories=told, free_space=free, clock=lambda: utc_now() + later
    )


def found(part: Part) -> dict[tuple[str, str], Level]:
    return {(one.check, one.subject): one.level for one in part.findings}


def die_in(spool: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", DIES, spool], env=environment, check=False)


def test_what_a_killed_process_left_is_a_warning_after_an_hour_until_it_is_swept(tmp_path: Path):
    die_in(tmp_path)

    fresh = look(tmp_path)
    part = look(tmp_path, later=timedelta(hours=2))
    sweep_scratch(tmp_path)
    swept = look(tmp_path, later=timedelta(hours=2))

    assert fresh.findings == ()
    assert found(part) == {("scratch", f"scratch {tmp_path}"): Level.WARNING}
    assert "2 folders" in part.findings[0].sentence
    assert part.seen[0].size_bytes >= 5 * MIB
    assert swept.findings == ()
    assert swept.seen == (ScratchSeen(0),)


def test_a_folder_of_a_process_that_lives_is_none_however_old_and_stays_locked(tmp_path: Path):
    with staging_directory(tmp_path, "backup-0123456789abcdef") as folder:
        part = look(tmp_path, later=timedelta(days=9))
        sweep_scratch(tmp_path)

        assert part.findings == ()
        assert folder.is_dir()


def test_room_is_told_once_a_file_system_and_not_again_where_a_repository_tells_it(tmp_path: Path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()

    twice = look(first, second, free=1.0)
    told = look(first, second, free=1.0, told=[tmp_path])

    assert list(found(twice)) == [("space", f"spool {first}")]
    assert told.findings == ()
    assert f"spool {first} has " in twice.findings[0].sentence


def test_a_spool_that_does_not_answer_is_said_and_what_is_open_of_it_stays(tmp_path: Path, monkeypatch):
    def hangs(path: Path) -> None:
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(os, "statvfs", hangs)

    part = look(tmp_path)

    assert part.findings == ()
    assert part.unseen == (f"spool {tmp_path} does not answer",)
    assert part.unjudged == {("space", f"spool {tmp_path}"), ("scratch", f"scratch {tmp_path}")}


def test_a_spool_that_nobody_has_made_yet_is_in_order(tmp_path: Path):
    part = look(tmp_path / "not" / "yet")

    assert part.findings == ()
    assert part.unseen == ()
    assert not (tmp_path / "not").exists()
