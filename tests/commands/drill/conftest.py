"""A cluster and two trees to be lost, backed up at a few moments; one for the group ``drills``."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backstop.storage.posix import PosixStorage
from tests.drill_world import Around, DrillWorld
from tests.recovery_world import running_world

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def shared() -> Iterator[DrillWorld]:
    """Five rows, base backup and trees; three more rows and files; all WAL stored in two repositories."""
    folder = Path(tempfile.mkdtemp(prefix="backstop-"))
    folder.chmod(0o711)
    with running_world(folder, 18) as world:
        made = DrillWorld(world, second=PosixStorage(folder / "second"))
        world.source.ledger.write(5)
        made.base = world.backups.take().label
        made.trees = made.back_up_trees()
        made.write(3)
        world.ship()
        made.write(3)
        made.later = made.back_up_trees()
        world.ship()
        yield made
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def drills(shared: DrillWorld) -> DrillWorld:
    """The same, with nothing known of it by others."""
    shared.around = Around()
    shared.opened.clear()
    assert shared.leftovers() == []
    return shared
