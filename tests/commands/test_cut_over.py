"""A cut-over that was killed half-way, or must not begin: a whole data directory keeps the live name."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backstop.commands.database.swap import ApplicationCommands
from backstop.commands.recovery import cut_over as module
from backstop.commands.recovery.clone import detach
from backstop.commands.recovery.cut_over import check_cut_over, cut_over, reopen_cluster
from backstop.commands.recovery.result import RecoveryResult
from backstop.commands.recovery.summary import result_document, result_from
from backstop.errors import CommandError, RestoreError
from tests.making import STARTED

if TYPE_CHECKING:
    from collections.abc import Callable


def data_directory(path: Path, content: str) -> Path:
    path.mkdir(mode=0o700)
    (path / "PG_VERSION").write_text(content)
    (path / "postgresql.auto.conf").touch()
    return path


def result_of(data: Path) -> RecoveryResult:
    return RecoveryResult(
        data=str(data),
        data_inode=data.stat().st_ino,
        system_id="7300000000000000000",
        server_version=180004,
        chain=("20261123T010000Z-full", "20261124T010000Z-incr"),
        timeline=2,
        end_lsn="0/5000060",
        last_commit_at=STARTED,
        stopped="at the target",
        replayed_bytes=1_000_000,
        replayed_bytes_per_second=250_000.0,
        pages_checked=None,
        tablespaces={16385: "/srv/tablespaces/16385"},
        seconds={"fetch": 1.0},
        healed=("a segment came from s3",),
        warnings=(),
    )


@pytest.fixture
def live(tmp_path: Path) -> Path:
    return data_directory(tmp_path / "live", "former")


@pytest.fixture
def restored(tmp_path: Path) -> Path:
    return data_directory(tmp_path / "restored", "recovered")


@pytest.fixture
def started(tmp_path: Path) -> Path:
    """A file that says what was live whenever the server was started."""
    return tmp_path / "started"


@pytest.fixture
def commands(live: Path, started: Path) -> ApplicationCommands:
    return ApplicationCommands(start=[["sh", "-c", f"cat {live}/PG_VERSION >> {started}"]])


def killed(work: Callable[[], object], *, before: str) -> None:
    """By kill -9, in a process of its own, before this step."""
    child = os.fork()
    if child == 0:
        rename = Path.rename

        def die(*_: object) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        def rename_or_die(self: Path, target: Path) -> Path:
            return die() or self if self.name == "restored" else rename(self, target)

        if before == "attach":
            module.attach = die
        else:
            Path.rename = rename_or_die  # type: ignore[method-assign]
        work()
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


def test_a_cut_over_killed_before_the_recovered_data_has_its_settings_gets_them_and_is_started(
    live, restored, started, commands
):
    detach(restored)
    result = result_of(restored)
    inode = live.stat().st_ino
    killed(lambda: cut_over(result, live=live, cluster=commands, now=STARTED), before="attach")
    assert "archive_mode = off" in (live / "postgresql.auto.conf").read_text()
    (live / "postgresql.auto.conf.new").touch()  # and another one, a little later

    with pytest.raises(RestoreError, match="has been put in place already"):
        cut_over(result, live=live, cluster=commands, now=STARTED)
    reopen_cluster(live, commands, live_inode=inode, recovered_inode=result.data_inode)

    assert (live / "postgresql.auto.conf").read_text() == ""
    assert started.read_text() == "recovered"


def test_wherever_a_cut_over_is_killed_no_copy_beside_the_live_cluster_can_disturb_it(
    live, restored, commands
):
    detach(restored)
    killed(lambda: cut_over(result_of(restored), live=live, cluster=commands, now=STARTED), before="rename")

    assert "archive_mode = off" in (restored / "postgresql.auto.conf").read_text()


def test_a_cut_over_killed_between_its_two_renames_is_put_right(live, restored, started, commands):
    inode = live.stat().st_ino
    killed(lambda: cut_over(result_of(restored), live=live, cluster=commands, now=STARTED), before="rename")
    assert not live.exists()

    reopen_cluster(live, commands, live_inode=inode)

    assert (live / "PG_VERSION").read_text() == "former"
    assert started.read_text() == "former"
    assert (restored / "PG_VERSION").exists()
    assert list(live.parent.glob("live-before-*")) == []


def test_of_several_former_directories_the_one_that_was_live_comes_back(live, started, commands):
    inode = live.stat().st_ino
    live.rename(live.with_name("live-before-20261124T010000Z"))
    data_directory(live.with_name("live-before-20261201T010000Z"), "another")

    reopen_cluster(live, commands, live_inode=inode)

    assert started.read_text() == "former"


def test_a_cut_over_that_was_killed_behind_both_renames_is_only_started(live, restored, started, commands):
    live.rename(live.with_name("live-before-20261124T010000Z"))
    restored.rename(live)

    reopen_cluster(live, commands, live_inode=None)

    assert started.read_text() == "recovered"


def test_where_nothing_is_left_to_put_back_somebody_must_look(tmp_path, started):
    commands = ApplicationCommands(start=[["touch", str(started)]])
    with pytest.raises(
        RestoreError, match=r"there is no .*/live, and the one it had before is not beside it"
    ):
        reopen_cluster(tmp_path / "live", commands, live_inode=7)
    assert not started.exists()


def test_a_server_that_does_not_start_is_not_taken_for_reopened(live):
    with pytest.raises(CommandError):
        reopen_cluster(live, ApplicationCommands(start=[["true"]], probe=[["false"]]), live_inode=None)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_data_directory_of_another_owner_is_refused_before_anything_stops(live, restored, tmp_path):
    os.chown(restored, 12345, -1)
    stopped = tmp_path / "stopped"

    with pytest.raises(RestoreError, match=r"belongs to user id 12345, and .*live to 0") as refused:
        cut_over(
            result_of(restored),
            live=live,
            cluster=ApplicationCommands(stop=[["touch", str(stopped)]]),
            now=STARTED,
        )
    assert "cluster.recovery.run_as" in refused.value.hint
    assert not stopped.exists()


def test_what_cannot_be_renamed_or_still_runs_is_refused(live, restored, tmp_path):
    (tmp_path / "link").symlink_to(live)
    with pytest.raises(RestoreError, match="is a link or a mount point"):
        check_cut_over(result_of(restored), live=tmp_path / "link")

    (restored / "postmaster.pid").touch()
    with pytest.raises(RestoreError, match="a server runs in"):
        check_cut_over(result_of(restored), live=live)


def test_a_server_that_its_stop_command_leaves_running_loses_nothing(live, restored, started, commands):
    (live / "postmaster.pid").touch()

    with pytest.raises(CommandError, match="is there after the stop command"):
        cut_over(result_of(restored), live=live, cluster=commands, now=STARTED)

    assert started.read_text() == "former"
    assert (restored / "PG_VERSION").exists()


def test_a_result_comes_back_whole_from_where_airflow_keeps_it(restored):
    result = result_of(restored)

    assert result_from(json.loads(json.dumps(result_document(result)))) == result
