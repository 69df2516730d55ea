"""A base backup during which a large table is written anew."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING
from unittest.mock import patch

from backstop.commands.base.parts import PartCutter
from backstop.commands.questions import Query

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.recovery_world import World

_ROW_BYTES = 2000
_CONTENT = "SELECT count(*)::text || ' ' || sum(hashtextextended(large::text, 0)) FROM large"


@contextmanager
def held_half_way(size_bytes: int, until: threading.Event) -> Iterator[threading.Event]:
    """Base backups stand still once half of this has arrived. Yields what is set then.

    The server's progress reports come once a second: too seldom to hold it by.
    """
    half_way = threading.Event()
    received, add = 0, PartCutter.add

    def add_or_wait(cutter: PartCutter, data: memoryview) -> None:
        nonlocal received
        received += len(data)
        if received > size_bytes // 2 and not half_way.is_set():
            half_way.set()
            assert until.wait(1200)
        add(cutter, data)

    with patch.object(PartCutter, "add", add_or_wait):
        yield half_way


def recover_what_was_rewritten(world: World, *, size_bytes: int) -> None:
    """Take the base backup, recover to the latest, and compare every row."""
    with world.source.server.connect() as session:
        session.execute(
            "CREATE TABLE large (n int PRIMARY KEY, word text STORAGE EXTERNAL);"
            "CREATE INDEX ON large (md5(word));"
            "INSERT INTO large SELECT n, string_agg(md5(n::text || part), '') FROM generate_series(1, "
            f"{size_bytes // _ROW_BYTES}) n, generate_series(1, {_ROW_BYTES // 32 - 2}) part GROUP BY n"  # type: ignore[arg-type]
        )

    rewritten = threading.Event()
    errors: list[BaseException] = []

    def rewrite(half_way: threading.Event) -> None:
        try:
            assert half_way.wait(600)
            with world.source.server.connect() as session:
                session.execute("UPDATE large SET word = reverse(word) WHERE n % 3 = 0")
                session.execute("VACUUM FULL large")
                session.execute("CLUSTER large USING large_pkey")
        except BaseException as error:
            errors.append(error)
        finally:
            rewritten.set()

    with held_half_way(size_bytes, rewritten) as half_way:
        thread = threading.Thread(target=rewrite, args=[half_way])
        thread.start()
        world.backups.take()
        thread.join()
    assert not errors, errors
    with world.source.server.connect() as session:
        session.execute("DELETE FROM large WHERE n % 10 = 0")
        content = session.execute(_CONTENT).fetchone()
    assert content
    world.ship()

    result = world.recover("latest", queries=[Query(_CONTENT, content[0], "every row")])

    assert result.pages_checked
    assert result.pages_checked * 8192 > size_bytes
