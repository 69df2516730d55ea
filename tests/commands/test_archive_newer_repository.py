"""``archive-wal`` while a newer release raises the format of repositories that it writes to."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from backstop.commands.wal.state import last_words
from backstop.errors import FormatTooNewError
from backstop.storage.posix import PosixStorage
from tests.commands.archiving import Protected, wait_for
from tests.commands.test_archive_failover import server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from embedded.postgres import EmbeddedPostgres

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
SAID = "has format 2, for which Backstop 0.9.0 is needed"


@pytest.fixture
def own_server(folder: Path) -> Iterator[EmbeddedPostgres]:
    """Slots of receivers stay."""
    with server(folder / "primary", 18) as own:
        yield own


def write_format(folder: Path, version: int) -> None:
    document = {"format": version, "id": "0123456789abcdef", "needs": "0.9.0"}
    (folder / "repository.json").write_text(json.dumps(document))


def objects(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*") if path.is_file() and ".tmp" not in path.parts}


def test_a_receiver_leaves_a_repository_that_became_too_new_and_ends_when_all_are(
    folder: Path, own_server: EmbeddedPostgres
) -> None:
    protected = Protected(folder, own_server, far=PosixStorage(folder / "far"))
    for name in ("repository", "far"):
        (folder / name).mkdir(mode=0o700)
        write_format(folder / name, 1)
    status = folder / "spool" / "state.json"
    settings = replace(protected.settings, format_again=timedelta(seconds=0.5), status_file=status)
    with protected.archiver(settings) as archiver:
        protected.write_wal(0.2)
        for name in ("local", "far"):
            protected.wait_until_archived(protected.position(), name)

        write_format(folder / "far", 2)
        far = wait_for("far left behind", lambda: archiver.state.repositories["far"].error)
        assert SAID in far
        stored = objects(folder / "far")
        protected.write_wal(0.2)
        protected.wait_until_archived(protected.position(), "local")
        assert objects(folder / "far") == stored

        write_format(folder / "repository", 2)
        error = archiver.failure()

    assert isinstance(error, FormatTooNewError)
    assert SAID in str(error)
    assert "upgrade Backstop" in str(error)
    assert error.exit_code == 4
    assert SAID in last_words(status)
