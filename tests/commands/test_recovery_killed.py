"""A recovery killed at any step: the live cluster is as it was, and the next one clears up and works."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from backstop.commands.progress import Silent
from backstop.errors import RestoreError
from backstop.model.recovery import RecoveryTarget
from backstop.postgres.recovery import RecoveredCluster
from tests.commands.archiving import wait_for
from tests.recovery_world import World, numbers, running_world

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DyingIn(Silent):
    """Killed as soon as something of a phase is done."""

    def __init__(self, phase: str) -> None:
        self._fatal, self._now = phase, ""

    def phase(self, name: str, *, total_bytes: int | None = None) -> None:
        self._now = name

    def advance(self, done_bytes: int) -> None:
        if self._now == self._fatal:
            die()


@pytest.fixture
def world(folder: Path) -> Iterator[World]:
    place = folder / "one"
    place.mkdir()
    with running_world(folder, 18) as made:
        os.chown(place, made.source.server.data.stat().st_uid, -1)
        with made.source.server.connect() as session:
            session.execute(f"CREATE TABLESPACE one LOCATION '{place}'")  # type: ignore[arg-type]
        made.backups.take()
        made.source.ledger.write(3)
        made.source.switch()
        made.source.ledger.write(3)
        made.ship()
        yield made


def kill_in(world: World, step: str) -> None:
    restore = world.restore()
    plan = restore.plan(RecoveryTarget.parse("latest"))
    child = os.fork()
    if child == 0:
        rename = Path.rename
        if step in ("fetch", "recover"):
            restore.progress = DyingIn(step)
        elif step == "validate":
            RecoveredCluster.shut_down = die  # type: ignore[method-assign]
        else:
            Path.rename = lambda self, to: die() if to.name == "clone" else rename(self, to)  # type: ignore[method-assign,assign,return-value]
        restore.run(plan)
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


def servers_below(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any(str(folder) in part for part in process.info["cmdline"] or ()):
            found.append(process)
    return found


def test_a_recovery_killed_at_any_step_leaves_the_live_one_alone_and_the_next_one_works_or_says_why_not(
    world: World,
) -> None:
    live = world.source.server.pid
    for step in ("fetch", "recover", "validate"):
        kill_in(world, step)
        wait_for("its server to die with it", lambda: not servers_below(world.out))
        assert not (world.out / "clone").exists()
        assert len(list((world.out / ".backstop").glob("clone-*"))) == 1

    kill_in(world, "rename")
    with pytest.raises(RestoreError, match="clone-tablespaces exists already"):
        world.recover("latest")
    subprocess.run(["rm", "-r", str(world.out / "clone-tablespaces")], check=True)

    world.recover("latest")

    assert world.ledger(world.out / "clone") == numbers(6)
    assert list((world.out / ".backstop").iterdir()) == []
    assert world.source.server.pid == live
    world.source.ledger.write(1)
