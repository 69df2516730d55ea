"""A folder whose paths are short and open to a scratch server's user; in it, a cluster to be recovered."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.recovery_world import running_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.recovery_world import World


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="backstop-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


# What is asked of every version each time is marked ALSO_15.
@pytest.fixture(params=[18, pytest.param(16, marks=pytest.mark.long)])
def world(request: pytest.FixtureRequest, folder: Path) -> Iterator[World]:
    with running_world(folder, request.param) as made:
        yield made
