"""The WAL receiver as a service: started, started again when it dies, and stopped when it is told to."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from embedded.errors import StackError
from embedded.home import Home
from embedded.receiver import WalReceiver
from embedded.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(60)

# Stands for `python -m backstop archive-wal`: Python looks for modules here first.
_RECEIVER = """\
import json, os, signal, sys, time
from pathlib import Path
folder = Path(os.environ["RECEIVER"])
def end(*_):
    (folder / "shipped").touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
with (folder / "began").open("a") as began:
    began.write(f"{os.getpid()} {' '.join(sys.argv[1:])}\\n")
(folder / "state.json").write_text(json.dumps({"connected": (folder / "server").exists()}))
while True:
    time.sleep(0.1)
"""


class Fake:
    """A receiver whose program is a stand-in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "server").touch()
        stand_in = folder / "modules" / "backstop"
        stand_in.mkdir(parents=True)
        (stand_in / "__init__.py").touch()
        (stand_in / "__main__.py").write_text(_RECEIVER)
        environment = {"RECEIVER": str(folder), "PYTHONPATH": str(folder / "modules")}
        self.receiver = WalReceiver(folder / "receiver", "calibrify", environment)

    def begun(self) -> list[str]:
        path = self.folder / "began"
        return path.read_text().splitlines() if path.exists() else []

    def child(self) -> psutil.Process:
        return psutil.Process(int(self.begun()[-1].split()[0]))

    def connected(self) -> None:
        self.receiver.wait_until_archiving(self.folder / "state.json")


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Fake]:
    fake = Fake(tmp_path)
    yield fake
    fake.receiver.stop()


def wait_for(found: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_it_is_started_once_and_runs_the_command_that_people_would(fake: Fake) -> None:
    fake.receiver.start()
    fake.connected()
    pid = fake.receiver.pid

    fake.receiver.start()

    assert fake.receiver.pid == pid
    assert [line.split(" ", 1)[1] for line in fake.begun()] == ["archive-wal --target calibrify"]
    assert fake.receiver.log.stat().st_mode & 0o077 == 0


def test_a_receiver_that_is_killed_is_started_again(fake: Fake) -> None:
    fake.receiver.start()
    fake.connected()
    pid, child = fake.receiver.pid, fake.child()

    child.send_signal(signal.SIGKILL)

    wait_for(lambda: len(fake.begun()) == 2)
    assert fake.receiver.pid == pid
    assert fake.child().pid != child.pid


def test_told_to_stop_it_may_ship_what_it_has_and_stays_down(fake: Fake) -> None:
    fake.receiver.start()
    fake.connected()
    child = fake.child()

    fake.receiver.stop()

    assert (fake.folder / "shipped").exists()
    assert fake.receiver.pid is None
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    assert len(fake.begun()) == 1
    fake.receiver.stop()  # nothing to stop is no mistake


def test_told_to_stop_while_it_waits_to_begin_anew_it_does_not_begin(fake: Fake) -> None:
    fake.receiver.start()
    fake.connected()
    fake.child().send_signal(signal.SIGKILL)
    leader = psutil.Process(fake.receiver.pid)
    wait_for(lambda: [one for one in leader.children() if one.name() == "sleep"])
    began = time.monotonic()

    fake.receiver.stop()

    assert time.monotonic() - began < 10
    assert len(fake.begun()) == 1


def test_stopped_it_can_be_started_again(fake: Fake) -> None:
    fake.receiver.start()
    fake.connected()
    fake.receiver.stop()

    fake.receiver.start()

    wait_for(lambda: len(fake.begun()) == 2)


def test_what_a_killed_service_left_running_is_ended_by_the_next_start(fake: Fake) -> None:
    fake.receiver.start()
    fake.connected()
    orphan, pid = fake.child(), fake.receiver.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert fake.receiver.pid is None

    fake.receiver.start()

    wait_for(lambda: len(fake.begun()) == 2)
    assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
    assert fake.receiver.pid not in (None, pid)


def test_one_that_never_connects_is_named_with_its_log(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embedded.receiver._START_SECONDS", 2.0)
    (fake.folder / "server").unlink()
    fake.receiver.start()

    with pytest.raises(StackError, match="the WAL receiver is not connected") as told:
        fake.connected()
    assert str(fake.receiver.log) in told.value.hint


def test_status_has_a_line_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("BACKSTOP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("BACKSTOP_HOME", str(tmp_path / "home"))
    stack = Stack(Home.from_environment())

    def line() -> tuple[int | None, str]:
        (part,) = [one for one in stack.status() if one.name == "WAL receiver"]
        return part.pid, part.health

    assert line() == (None, "stopped")
    fake = Fake(tmp_path)
    fake.receiver = WalReceiver(stack.home.receiver, "calibrify", fake.receiver.environment)
    try:
        fake.receiver.start()
        fake.connected()
        assert line() == (fake.receiver.pid, "healthy")
    finally:
        fake.receiver.stop()
    assert line() == (None, "stopped")
