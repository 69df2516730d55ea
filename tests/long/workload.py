"""An application that never rests: several sessions that write and change the schema, each wait measured."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from backstop.postgres.connection import ClusterConnection

SCHEMA = """
CREATE TABLE accounts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, balance numeric DEFAULT 0);
INSERT INTO accounts (balance) SELECT n FROM generate_series(1, 2000) n;
CREATE TABLE moves (
    account bigint REFERENCES accounts, amount numeric, made timestamptz DEFAULT clock_timestamp()
);
INSERT INTO moves SELECT 1 + n % 2000, n FROM generate_series(1, 30000) n;
CREATE TABLE days (day int, n int) PARTITION BY LIST (day);
CREATE TABLE days_1 PARTITION OF days FOR VALUES IN (1);
CREATE SEQUENCE tickets CACHE 5;
CREATE MATERIALIZED VIEW totals AS SELECT account, sum(amount) FROM moves GROUP BY account;
CREATE UNIQUE INDEX ON totals (account);
CREATE TABLE churn_0 (n int);
"""
# Every wait that ends with a session of the backup counts; those are known by name.
_WAITING = """
WITH RECURSIVE ours AS (
    SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'backstop%'
), waits AS (
    SELECT pid AS waiter, unnest(pg_blocking_pids(pid)) AS blocker, query_start FROM pg_stat_activity
    WHERE application_name = 'application' AND wait_event_type = 'Lock'
), behind AS (
    SELECT waiter, query_start FROM waits WHERE blocker IN (SELECT pid FROM ours)
    UNION SELECT waits.waiter, waits.query_start FROM waits JOIN behind ON waits.blocker = behind.waiter
)
SELECT DISTINCT waiter, query_start FROM behind
"""


@dataclass
class Workload:
    """Runs inside its ``with`` block.

    :param schema_changes_a_second: of all clients together; the rest is reading and writing rows.
    """

    database: ClusterConnection
    seed: str
    clients: int = 3
    schema_changes_a_second: float = 1.0
    longest_statement_seconds: float = 0.0
    longest_wait_for_us_seconds: float = 0.0
    statements: int = 0
    refused: int = 0
    failures: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._guarded, args=(self._client, number))
            for number in range(self.clients)
        ]
        self._threads.append(threading.Thread(target=self._guarded, args=(self._observer, 0)))

    def __enter__(self) -> Workload:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _guarded(self, work: Any, number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            self.failures.append(error)

    def _client(self, number: int) -> None:
        dice = random.Random(f"{self.seed}/{number}")
        with self.database.connect(application_name="application") as session:
            session.execute("SET search_path = public")
            pause = 0.02
            chance = self.schema_changes_a_second * pause / self.clients
            while not self._stop.wait(pause):
                statement = schema_change(dice) if dice.random() < chance else row_change(dice)
                started = time.monotonic()
                try:
                    session.execute(statement.encode())
                except psycopg.Error:
                    # Dropped by another client a moment ago, a deadlock among themselves: such is life.
                    self.refused += 1
                with self._lock:
                    self.longest_statement_seconds = max(
                        self.longest_statement_seconds, time.monotonic() - started
                    )
                    self.statements += 1

    def _observer(self, _number: int) -> None:
        """The server's own account of who has been waiting for the backup since when; looks every 20 ms."""
        since: dict[tuple[Any, Any], float] = {}
        with self.database.connect(application_name="observer") as session:
            while not self._stop.wait(0.02):
                rows = session.execute(_WAITING).fetchall()
                now = time.monotonic()
                since = {row: since.get(row, now) for row in rows}
                for began in since.values():
                    self.longest_wait_for_us_seconds = max(self.longest_wait_for_us_seconds, now - began)


def row_change(dice: random.Random) -> str:
    n = dice.randint(1, 2000)
    return dice.choice(
        [
            f"INSERT INTO moves (account, amount) VALUES ({n}, {n}.5)",
            f"UPDATE accounts SET balance = balance + 1 WHERE id = {n}",
            f"DELETE FROM moves WHERE account = {n} AND amount < 3",
            "SELECT nextval('tickets')",
            "INSERT INTO days VALUES (1, 1)",
            f"SELECT count(*) FROM moves WHERE account = {n}",
            f"SELECT lo_from_bytea(0, '{n}')",
            "INSERT INTO churn_0 VALUES (1)",
        ]
    )


def schema_change(dice: random.Random) -> str:
    n = dice.randint(0, 3)
    return dice.choice(
        [
            f"CREATE TABLE IF NOT EXISTS churn_{n} AS SELECT generate_series(1, 50) AS n",
            f"DROP TABLE IF EXISTS churn_{n}",
            f"TRUNCATE churn_{n}",
            f"ALTER TABLE churn_{n} ADD COLUMN IF NOT EXISTS more int DEFAULT {n}",
            f"ALTER TABLE churn_{n} DROP COLUMN IF EXISTS more",
            f"ALTER TABLE churn_{n} RENAME TO churn_{(n + 1) % 4}",
            "CREATE INDEX IF NOT EXISTS by_amount ON moves (amount)",
            "DROP INDEX IF EXISTS by_amount",
            f"CREATE TABLE IF NOT EXISTS days_{n + 2} PARTITION OF days FOR VALUES IN ({n + 2})",
            f"DROP TABLE IF EXISTS days_{n + 2}",
            "REFRESH MATERIALIZED VIEW CONCURRENTLY totals",
            f"CREATE OR REPLACE VIEW latest AS SELECT * FROM moves WHERE amount > {n}",
            "DROP VIEW IF EXISTS latest",
            f"ALTER SEQUENCE tickets INCREMENT {n + 1}",
            f"COMMENT ON TABLE accounts IS '{n}'",
            "VACUUM accounts",
        ]
    )
