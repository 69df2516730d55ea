from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
import yaml

from backstop.commands.wal import archive as archive_wal
from backstop.commands.wal import directory_shipping
from backstop.commands.wal import watch as watch_wal
from backstop.commands.wal.state import ArchiverState
from backstop.commands.wal.watch import ArchivingSeen, Lag
from backstop.errors import ConfigurationError, RecoveryPointError, WalLostError
from backstop.model.lsn import Lsn
from backstop.operators.wal import ArchiveWalOperator, WatchWalArchivingOperator
from tests.making import STARTED
from tests.operators.lab import SERVER, context

STATE = ArchiverState("calibrify", "backstop_calibrify", STARTED, connected=True)


@pytest.fixture
def receiving(lab, monkeypatch):
    """The receiver's arguments; it reports once and waits for its end."""
    calls = []

    def receive(**arguments):
        calls.append(arguments)
        arguments["on_state"](STATE)
        assert arguments["stop"].wait(20), "nobody ended it"

    monkeypatch.setattr(archive_wal, "archive_wal", receive)
    return calls


def archiving(lasts):
    return ArchiveWalOperator(task_id="archive", target="calibrify", lasts=lasts)


def test_a_run_ends_by_itself_once_it_has_lasted_long_enough(receiving):
    began = time.monotonic()

    result = archiving(timedelta(seconds=0.2)).carry_out(context())

    assert 0.2 <= time.monotonic() - began < 10
    assert (result["slot"], result["connected"]) == ("backstop_calibrify", True)
    (call,) = receiving
    assert call["cluster"] is SERVER
    assert [one.name for one in call["repositories"]] == ["local", "far"]


def test_the_directory_of_an_archive_command_is_shipped_meanwhile(lab, receiving, monkeypatch, tmp_path):
    path = lab.folder / "targets.yaml"
    document = yaml.safe_load(path.read_text())
    document["targets"]["calibrify"]["cluster"]["wal"] = {"archive_directory": str(tmp_path)}
    path.write_text(yaml.safe_dump(document))
    begun = []

    class Shipping:
        def __init__(self, **arguments):
            self.arguments = arguments

        def __enter__(self):
            assert not receiving
            begun.append(self.arguments["directory"])

        def __exit__(self, *_):
            assert receiving

    monkeypatch.setattr(directory_shipping, "DirectoryShipping", Shipping)

    archiving(timedelta(seconds=0.1)).carry_out(context())

    assert begun == [tmp_path]


def test_a_run_that_is_killed_ends_in_good_order(receiving):
    operator = archiving(timedelta(hours=6))
    results = []
    run = threading.Thread(target=lambda: results.append(operator.carry_out(context())))
    run.start()
    while not receiving:
        time.sleep(0.01)

    operator.on_kill()

    run.join(10)
    assert results[0]["slot"] == "backstop_calibrify"


def test_killed_before_it_began_there_is_nothing_to_end():
    archiving(timedelta(hours=6)).on_kill()


def test_a_receiver_that_fails_leaves_no_timer_behind(lab, monkeypatch):
    timers = []

    def fail(**_):
        timers.extend(one for one in threading.enumerate() if isinstance(one, threading.Timer))
        raise WalLostError("slot backstop_calibrify is gone")

    monkeypatch.setattr(archive_wal, "archive_wal", fail)

    with pytest.raises(WalLostError):
        archiving(timedelta(hours=6)).carry_out(context())

    (timer,) = timers
    timer.join(5)
    assert not timer.is_alive()


def seen(**lags):
    return ArchivingSeen(STARTED, 1, Lsn(2000), 1000, lags=lags)


@pytest.fixture
def watch(lab, monkeypatch):
    """Look, and find this."""

    def watch(found, target="calibrify"):
        asked = []

        def observe(**arguments):
            asked.append(arguments)
            return found

        monkeypatch.setattr(watch_wal, "observe_archiving", observe)
        result = WatchWalArchivingOperator(task_id="watch", target=target).carry_out(context())
        assert [call["slot"] for call in asked] == ["backstop_calibrify"]
        return result

    return watch


def test_repositories_within_the_objective_are_the_result(watch):
    soon = Lag(Lsn(1000), 1000, timedelta(seconds=299))

    result = watch(seen(local=Lag(Lsn(2000), 0, timedelta(0)), far=soon))

    assert result["repositories"]["far"]["observed_rpo_seconds"] == 299


def test_a_repository_that_is_late_is_named_with_what_would_be_lost(watch):
    late = Lag(Lsn(1000), 1000, timedelta(seconds=301))

    with pytest.raises(RecoveryPointError) as red:
        watch(seen(local=Lag(Lsn(2000), 0, timedelta(0)), far=late))

    assert "repository far is 1000 bytes behind: up to 301 s would be lost, and 300 s may be" in str(
        red.value
    )
    assert "local" not in str(red.value)


def test_a_repository_that_has_nothing_or_does_not_answer_is_late_whatever_the_objective(watch):
    with pytest.raises(RecoveryPointError, match="repository far has no WAL of this cluster"):
        watch(seen(far=Lag(Lsn(0), 2000, None)))

    with pytest.raises(RecoveryPointError, match="repository far did not answer: refused"):
        watch(ArchivingSeen(STARTED, 1, Lsn(0), 0, failed={"far": "refused"}))


def test_a_target_without_a_cluster_is_not_watched(watch):
    with pytest.raises(ConfigurationError, match="has no `cluster` section"):
        watch(seen(), target="plain")
