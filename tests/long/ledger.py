"""Clients that commit all the time, and what each was told: nothing that was acknowledged is forgotten."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from embedded.postgres import EmbeddedPostgres

#: Several rows in two tables: a transaction is there as a whole, or it is not there.
TABLES = (
    "CREATE TABLE ledger (client int, n int, part int, xid xid8, filling text, "
    "PRIMARY KEY (client, n, part))",
    "CREATE TABLE totals (client int PRIMARY KEY, n int)",
    "INSERT INTO totals SELECT client, 0 FROM generate_series(0, 9) client",
)
PARTS = 3
_WRITE = f"""
WITH parts AS (
    INSERT INTO ledger
    SELECT %(client)s, %(n)s, part, pg_current_xact_id(), repeat(md5(%(n)s::text), %(size)s)
    FROM generate_series(1, {PARTS}) AS part
), total AS (UPDATE totals SET n = %(n)s WHERE client = %(client)s)
SELECT pg_current_xact_id()::text
"""


@dataclass
class Ledger:
    """What the clients know, by transaction id.

    :param attempted: known before the commit was sent, so every commit that can be is here.
    :param acknowledged: when the client had the server's word for it.
    """

    attempted: dict[int, tuple[int, int]] = field(default_factory=dict)
    acknowledged: dict[int, datetime] = field(default_factory=dict)


class Load:
    """Clients in threads of their own, while the ``with`` lasts; they connect again when the server is back.

    :param sizes: how many times 32 bytes a row is filled with; some are large, so that segments fill.
    """

    def __init__(
        self, server: EmbeddedPostgres, ledger: Ledger, *, clients: int, dice: random.Random
    ) -> None:
        self._ledger = ledger
        self._stop = threading.Event()
        self._target = {
            "host": server.host, "port": server.port, "user": "postgres", "dbname": "postgres",
            "password": server.password("postgres"),
        }  # fmt: skip
        seeds = [dice.getrandbits(32) for _ in range(clients)]
        self._threads = [
            threading.Thread(target=self._run, args=(client, random.Random(seed)), daemon=True)
            for client, seed in enumerate(seeds)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()

    def end(self, seconds: float = 20.0) -> None:
        """No more commits, and every answer that is still to come is there."""
        self._stop.set()
        for thread in self._threads:
            thread.join(seconds)
            assert not thread.is_alive(), "a client waits for its commit still"

    def _run(self, client: int, dice: random.Random) -> None:
        n = 0
        while not self._stop.is_set():
            try:
                with psycopg.connect(**self._target, connect_timeout=5) as session:
                    while not self._stop.is_set():
                        n += 1
                        self._commit_one(session, client, n, dice)
                        time.sleep(dice.uniform(0.001, 0.012))
            except psycopg.Error:
                time.sleep(0.05)

    def _commit_one(self, session: psycopg.Connection, client: int, n: int, dice: random.Random) -> None:
        size = 6000 if dice.random() < 0.01 else dice.choice((1, 4, 40))
        row = session.execute(_WRITE, {"client": client, "n": n, "size": size}).fetchone()
        assert row
        xid = int(row[0])
        self._ledger.attempted[xid] = client, n
        session.commit()
        self._ledger.acknowledged[xid] = datetime.now(timezone.utc)


def ask(server: EmbeddedPostgres, query: str) -> Any:
    """The first value of the first row."""
    with server.connect() as session:
        row = session.execute(query.encode()).fetchone()
        assert row
        return row[0]


def do(server: EmbeddedPostgres, statement: str) -> None:
    with server.connect() as session:
        session.execute(statement.encode())
