"""``archive-wal`` ends soon after it is told to, wherever it waits."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from backstop.postgres.replication import ClusterIdentity, ReplicationConnection
from tests.commands.archiving import Archiver, Protected
from tests.faults.line import Line

if TYPE_CHECKING:
    from pathlib import Path

    from embedded.postgres import EmbeddedPostgres

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


def test_a_stop_is_honoured_on_a_line_that_hangs_before_anything_streams(
    folder: Path, postgres18: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    protected = Protected(folder, postgres18)
    line = Line(postgres18.host, postgres18.port)
    hung = threading.Event()
    identify = ReplicationConnection.identify

    def after_the_line_hangs(connection: ReplicationConnection) -> ClusterIdentity:
        line.hang()
        hung.set()
        return identify(connection)

    monkeypatch.setattr(ReplicationConnection, "identify", after_the_line_hangs)
    source = replace(postgres18.connection(), port=line.port)
    with Archiver(source, protected.storages, protected.keyring, protected.settings) as archiver:
        assert hung.wait(20)
        time.sleep(0.3)
        archiver.stop.set()
        began = time.monotonic()
        archiver._thread.join(10)
        took = time.monotonic() - began
        line.close()

    assert took < 3
    assert archiver.error is None
    assert archiver.states[-1].last_error == ""
