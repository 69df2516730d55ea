"""Pages and pg_control are checked while a server writes them: damage is named, torn ones are read again."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from backstop.commands.base import file_reading
from backstop.errors import SourceError
from backstop.postgres import control_file, local_cluster
from tests.commands.file_copies import by_file_copy, no_backup_mode, opened
from tests.physical import BaseBackups, damaged_table
from tests.protection import protect

if TYPE_CHECKING:
    from pathlib import Path

    from embedded.postgres import EmbeddedPostgres

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

TABLE = "CREATE TABLE {0} AS SELECT n, md5(n::text) FROM generate_series(1, {1}) n"


@pytest.fixture
def base(folder: Path, postgres18: EmbeddedPostgres) -> BaseBackups:
    return by_file_copy(BaseBackups(protect(folder, postgres18.connection()), postgres18))


def test_a_cold_page_with_a_flipped_bit_is_named_and_nothing_is_published(base: BaseBackups):
    with (
        damaged_table(base.server) as path,
        pytest.raises(SourceError, match=f"damaged pages: .* file {path}, block 1 "),
    ):
        base.take()
    assert base.nothing_is_left()
    assert no_backup_mode(base.server)


def test_pages_that_are_being_written_are_no_damage(base: BaseBackups):
    with base.server.connect() as session:
        session.execute(
            "CREATE TABLE accounts AS SELECT n, 0 AS balance, repeat('x', 80) AS t "
            "FROM generate_series(1, 60000) n"
        )
        session.execute("ALTER TABLE accounts ADD PRIMARY KEY (n)")
        session.execute("VACUUM ANALYZE accounts")
    done = threading.Event()
    written = []

    def write(seed: int) -> None:
        with base.server.connect() as other:
            number = seed
            while not done.is_set():
                number = (number * 7919 + 13) % 60000
                other.execute("UPDATE accounts SET balance = balance + 1 WHERE n %% 997 = %s", [number % 997])
                # Pages go to disk while they are read.
                if number % 5 == 0:
                    other.execute("CHECKPOINT")
                written.append(number)

    threads = [threading.Thread(target=write, args=[seed]) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    try:
        reports = [base.take(clock=base.protection.clock) for _ in range(2)]
    finally:
        done.set()
        for thread in threads:
            thread.join()
        with base.server.connect() as session:
            session.execute("DROP TABLE accounts")

    assert all(report.complete for report in reports)
    assert len(written) > 10


def test_a_torn_page_is_read_again_before_it_is_called_damaged(
    base: BaseBackups, monkeypatch: pytest.MonkeyPatch
):
    with base.server.connect() as session:
        session.execute(TABLE.format("torn", 1000))
        session.execute("CHECKPOINT")
        (path,) = session.execute("SELECT pg_relation_filepath('torn')").fetchone()
    torn = []
    honest = os.pread

    def pread(descriptor: int, size_bytes: int, offset: int) -> bytes:
        content = honest(descriptor, size_bytes, offset)
        if opened(descriptor).endswith(path) and len(torn) < 2:
            # The first read, and the first time again.
            torn.append(offset)
            return content[:4096] + bytes(100) + content[4196:]
        return content

    monkeypatch.setattr(file_reading.os, "pread", pread)
    report = base.take()
    with base.server.connect() as session:
        session.execute("DROP TABLE torn")

    assert len(torn) == 2
    assert report.complete


def test_a_torn_pg_control_is_read_again(base: BaseBackups, monkeypatch: pytest.MonkeyPatch):
    honest = control_file._content
    torn = []

    def content(place: Path) -> bytes:
        read = honest(place)
        if len(torn) % 3 < 2:
            torn.append(True)
            return read[:40] + bytes(8) + read[48:]
        torn.append(False)
        return read

    monkeypatch.setattr(control_file, "_content", content)
    monkeypatch.setattr(local_cluster.time, "sleep", lambda seconds: None)
    assert base.take().complete
    assert len(torn) >= 9
