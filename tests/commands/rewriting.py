"""A base backup during which a large table is written anew."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from backstop.commands.progress import Silent
from backstop.commands.questions import Query

if TYPE_CHECKING:
    from tests.recovery_world import World

_ROW_BYTES = 2000
_CONTENT = "SELECT count(*)::text || ' ' || sum(hashtextextended(large::text, 0)) FROM large"


class _WhileRewriting(Silent):
    """Holds the backup half-way until the table lies in another file."""

    def __init__(self, rewritten: threading.Event) -> None:
        self._rewritten = rewritten
        self.begun = threading.Event()

    def advance(self, done_bytes: int) -> None:
        self.begun.set()
        assert self._rewritten.wait(600)


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
    progress = _WhileRewriting(rewritten)
    errors: list[BaseException] = []

    def rewrite() -> None:
        try:
            assert progress.begun.wait(60)
            with world.source.server.connect() as session:
                session.execute("UPDATE large SET word = reverse(word) WHERE n % 3 = 0")
                session.execute("VACUUM FULL large")
                session.execute("CLUSTER large USING large_pkey")
        except BaseException as error:
            errors.append(error)
        finally:
            rewritten.set()

    thread = threading.Thread(target=rewrite)
    thread.start()
    world.backups.take(progress=progress)
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
