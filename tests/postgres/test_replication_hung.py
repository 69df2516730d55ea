"""A line that carries nothing any more: no command waits on it for ever, and a stop ends each at once."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from backstop.errors import SourceUnavailableError
from backstop.postgres import replication_wire
from backstop.postgres.replication import ReplicationConnection
from tests.faults.line import Line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backstop.postgres.connection import ClusterConnection
    from embedded.postgres import EmbeddedPostgres

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


@pytest.fixture
def line(postgres18: EmbeddedPostgres) -> Iterator[Line]:
    line = Line(postgres18.host, postgres18.port)
    yield line
    line.close()


@pytest.fixture
def through(line: Line, postgres18: EmbeddedPostgres) -> ClusterConnection:
    return replace(postgres18.connection(), port=line.port)


def test_a_stop_ends_a_command_that_is_not_answered(line: Line, through: ClusterConnection) -> None:
    stop = threading.Event()
    with ReplicationConnection(through, stop=stop) as connection:
        line.hang()
        threading.Timer(0.3, stop.set).start()
        began = time.monotonic()
        with pytest.raises(SourceUnavailableError, match="stopped on request"):
            connection.identify()
    assert time.monotonic() - began < 10


def test_a_command_that_is_not_answered_in_time_is_given_up(
    line: Line, through: ClusterConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replication_wire, "_ANSWER_SECONDS", 0.4)
    with ReplicationConnection(through) as connection:
        line.hang()
        with pytest.raises(SourceUnavailableError, match="does not answer"):
            connection.setting("wal_segment_size")


def test_after_a_stop_a_stream_is_still_ended_in_good_order(postgres18: EmbeddedPostgres) -> None:
    stop = threading.Event()
    with ReplicationConnection(postgres18.connection(), stop=stop) as connection:
        stream = connection.stream(start=connection.identify().flush_lsn, timeline=1)
        stop.set()
        began = time.monotonic()
        stream.end()
        assert time.monotonic() - began < 8
        stop.clear()
        assert connection.identify()
