"""What a cut-over leaves under the live name when it does not come to its end; without a server."""

from __future__ import annotations

from datetime import datetime, timezone
from types import SimpleNamespace

import pytest

from backstop.commands.database.swap import ApplicationCommands
from backstop.commands.recovery.cut_over import cut_over, reopen_cluster
from backstop.errors import CommandError, RestoreError


def test_what_a_killed_cut_over_moved_away_is_put_back(tmp_path):
    live, kept = tmp_path / "data", tmp_path / "data-before-20261101T000000Z"
    (tmp_path / "data-before-20261201T000000Z").mkdir()
    kept.mkdir()
    inode = kept.stat().st_ino

    reopen_cluster(live, ApplicationCommands(), live_inode=inode)

    assert live.stat().st_ino == inode


@pytest.mark.parametrize("live_inode", [None, 1])
def test_data_that_an_earlier_cut_over_left_is_never_started_instead(tmp_path, live_inode):
    live, old = tmp_path / "data", tmp_path / "data-before-20261101T000000Z"
    old.mkdir()
    started = tmp_path / "started"

    with pytest.raises(RestoreError, match="nothing was started"):
        reopen_cluster(live, ApplicationCommands(start=[["touch", str(started)]]), live_inode=live_inode)

    assert old.is_dir()
    assert not live.exists()
    assert not started.exists()


def test_a_former_server_that_a_supervisor_started_meanwhile_is_no_success(tmp_path):
    live, restored = tmp_path / "data", tmp_path / "clone"
    for folder in (live, restored):
        folder.mkdir()
        (folder / "postgresql.auto.conf").touch()
    (live / "PG_VERSION").write_text("the former one")
    result = SimpleNamespace(data=str(restored), data_inode=restored.stat().st_ino)
    wake = f"for old in {tmp_path}/data-before-*; do [ ! -d $old ] || touch $old/postmaster.pid; done"

    with pytest.raises(CommandError, match="started by itself"):
        cut_over(
            result,  # type: ignore[arg-type]
            live=live,
            cluster=ApplicationCommands(start=[["sh", "-c", wake]]),
            now=datetime(2026, 11, 1, tzinfo=timezone.utc),
        )

    assert (live / "PG_VERSION").read_text() == "the former one"
    assert restored.is_dir()


def test_when_even_the_way_back_is_barred_the_server_is_started_and_the_message_says_what_is_where(tmp_path):
    live, restored = tmp_path / "data", tmp_path / "clone"
    for folder in (live, restored):
        folder.mkdir()
        (folder / "postgresql.auto.conf").touch()
        (folder / "PG_VERSION").touch()
    result = SimpleNamespace(data=str(restored), data_inode=restored.stat().st_ino)

    with pytest.raises(CommandError, match=r"holds the recovered data, and .*data-before-20261101T000000Z"):
        cut_over(
            result,  # type: ignore[arg-type]
            live=live,
            cluster=ApplicationCommands(
                stop=[["test", "!", "-e", str(live / "postmaster.pid")]],
                start=[["sh", "-c", f"echo started >> {tmp_path}/starts; touch {live}/postmaster.pid"]],
                probe=[["false"]],
            ),
            now=datetime(2026, 11, 1, tzinfo=timezone.utc),
        )

    assert (tmp_path / "starts").read_text().count("started") == 2
