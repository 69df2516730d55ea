"""A cut-over with little or nothing to stop and to keep: the live directory gone, its server dead."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from backstop.commands.database.swap import ApplicationCommands
from backstop.commands.recovery.cut_over import cut_over, refuse_unfit_place
from backstop.errors import CommandError, RestoreError
from tests.commands.test_cut_over import data_directory, result_of
from tests.making import STARTED

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.commands.recovery.cut_over import CutOverOutcome

#: As `pg_ctl stop` without a data directory, or without a server.
NOTHING_TO_STOP = [["sh", "-c", "echo 'PID file does not exist' >&2; exit 1"]]


@pytest.fixture
def restored(tmp_path: Path) -> Path:
    return data_directory(tmp_path / "restored", "recovered")


@pytest.fixture
def live(tmp_path: Path) -> Path:
    return tmp_path / "lib" / "18" / "main"


@pytest.fixture
def dead() -> int:
    """A process id that nobody has."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def server(live: Path, **commands: list[list[str]]) -> ApplicationCommands:
    """One whose start puts a running process into ``postmaster.pid``, as PostgreSQL does."""
    start = [["sh", "-c", f"cat {live}/PG_VERSION >> {live}.started && echo $PPID > {live}/postmaster.pid"]]
    return replace(ApplicationCommands(stop=NOTHING_TO_STOP, start=start), **commands)


def carry_out(restored: Path, live: Path, cluster: ApplicationCommands) -> CutOverOutcome:
    return cut_over(result_of(restored), live=live, cluster=cluster, now=STARTED)


def crashed(live: Path, process: int) -> Path:
    """What a server that was killed leaves: its data, and a lock file of a process that is gone."""
    live.parent.mkdir(parents=True)
    data_directory(live, "former")
    (live / "postmaster.pid").write_text(f"{process}\n{live}\n")
    return live


@pytest.mark.parametrize("parents", ["there", "gone"])
def test_where_the_data_directory_is_gone_the_recovered_one_takes_its_name_and_nothing_is_kept(
    restored, live, parents
):
    if parents == "there":
        live.parent.mkdir(parents=True)

    outcome = carry_out(restored, live, server(live))

    assert (live / "PG_VERSION").read_text() == "recovered"
    assert outcome.kept is None
    [note] = outcome.notes
    assert "no server ran on" in note
    assert "PID file does not exist" in note
    assert (live.parent.stat().st_mode & 0o777, live.parent.stat().st_uid) == (0o755, live.stat().st_uid)


def test_what_is_left_of_a_half_deleted_data_directory_is_kept_and_needs_no_server_to_stop(restored, live):
    (live / "base").mkdir(parents=True)

    outcome = carry_out(restored, live, server(live))

    assert (live / "PG_VERSION").read_text() == "recovered"
    assert outcome.kept is not None
    assert [path.name for path in live.parent.glob("main-before-*/base")] == ["base"]


def test_a_server_that_crashed_is_exchanged_although_nothing_can_be_stopped(restored, live, dead):
    crashed(live, dead)

    outcome = carry_out(restored, live, server(live))

    assert (live / "PG_VERSION").read_text() == "recovered"
    [kept] = live.parent.glob("main-before-*")
    assert outcome.kept == str(kept)
    assert (kept / "PG_VERSION").read_text() == "former"
    assert outcome.notes


def test_every_stop_command_is_run_although_one_finds_nothing_to_stop(restored, live, tmp_path):
    stop = [*NOTHING_TO_STOP, ["touch", str(tmp_path / "application-stopped")]]

    carry_out(restored, live, server(live, stop=stop))

    assert (tmp_path / "application-stopped").exists()


def test_a_server_that_cannot_be_stopped_and_runs_is_left_alone(restored, live):
    with subprocess.Popen(["sleep", "60"]) as running:
        crashed(live, running.pid)
        try:
            with pytest.raises(CommandError, match="PID file does not exist"):
                carry_out(restored, live, server(live, start=[["true"]]))
        finally:
            running.kill()

    assert (live / "PG_VERSION").read_text() == "former"
    assert (restored / "PG_VERSION").exists()


def test_when_another_server_answers_than_that_of_the_recovered_data_all_goes_back(restored, live, dead):
    """One whose files were deleted under it runs on for a while, and `systemctl start` finds it running."""
    crashed(live, dead)

    with pytest.raises(CommandError, match=r"no server runs on .*/main: another one answers"):
        carry_out(restored, live, server(live, start=[["true"]]))

    assert (live / "PG_VERSION").read_text() == "former"
    assert (restored / "PG_VERSION").read_text() == "recovered"


def test_when_the_recovered_server_does_not_start_there_is_nothing_again_and_nothing_is_started(
    restored, live, tmp_path
):
    starts = tmp_path / "starts"
    start = [["sh", "-c", f"echo once >> {starts}; exit 3"]]

    with pytest.raises(CommandError, match="exited with 3") as failed:
        carry_out(restored, live, server(live, start=start))

    assert "and then" not in failed.value.message
    assert starts.read_text() == "once\n"
    assert not (tmp_path / "lib").exists()
    assert (restored / "PG_VERSION").read_text() == "recovered"


def test_parents_that_cannot_be_made_leave_what_was_recovered_where_it_is(restored, live, monkeypatch):
    genuine = type(live).mkdir

    def mkdir(path: Path, *given: object, **named: object) -> None:
        if path == live.parent:
            raise PermissionError(13, "Permission denied")
        genuine(path, *given, **named)

    monkeypatch.setattr(type(live), "mkdir", mkdir)
    with pytest.raises(RestoreError, match="is gone and cannot be made: Permission denied"):
        carry_out(restored, live, server(live))

    assert (restored / "PG_VERSION").exists()
    assert not live.parent.parent.exists()


def test_a_place_that_can_never_be_taken_is_refused_before_anything_is_recovered(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "file").touch()

    with pytest.raises(RestoreError, match="is a link or a mount point"):
        refuse_unfit_place(tmp_path / "link", beside=tmp_path / "restored")
    for path in ("file", "file/main"):
        with pytest.raises(RestoreError, match="file is no directory"):
            refuse_unfit_place(tmp_path / path, beside=tmp_path / "restored")
    refuse_unfit_place(tmp_path / "gone" / "main", beside=tmp_path / "gone, too" / "restored")
