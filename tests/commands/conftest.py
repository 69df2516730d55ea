"""A folder whose paths are short and open to a scratch server's user."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="backstop-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)
