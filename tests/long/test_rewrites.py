"""A gigabyte written anew, twice, while the base backup is under way."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.commands.rewriting import recover_what_was_rewritten
from tests.recovery_world import running_world

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(3600)]

SIZE_BYTES = int(os.environ.get("BACKSTOP_REWRITTEN_MB", "1024")) * 1024**2


def test_a_gigabyte_rewritten_during_the_base_backup_comes_back_equal() -> None:
    folder = Path(tempfile.mkdtemp(prefix="backstop-"))
    folder.chmod(0o711)
    try:
        with running_world(folder, 18, max_wal_size="4GB") as world:
            recover_what_was_rewritten(world, size_bytes=SIZE_BYTES)
    finally:
        shutil.rmtree(folder)
