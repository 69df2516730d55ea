"""Where the inventory keeps what is wrong: one row for each finding from its opening to its close."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backstop.model.finding import judged, worst_of_each
from backstop.model.finding_state import Rhythm, missed, seen
from backstop.postgres.connection import source_errors
from backstop.repository.finding_rows import from_rows, to_row, told_to_row
from backstop.sql import load_sql

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from datetime import datetime

    import psycopg

    from backstop.model.finding import Finding
    from backstop.model.finding_state import OpenFinding
    from backstop.postgres.connection import ClusterConnection
    from backstop.repository.finding_rows import Row

REPORTED = "run"
"""The check that no watch looks at: runs report themselves."""

# "watching" and "telling" as numbers: who changes rows, and who tells people of them, does it one at a time.
_WATCHING, _TELLING = 0x7761746368696E67, 0x74656C6C696E6721


class Findings:
    """The table ``backup_finding`` of the inventory.

    :raises SourceUnavailableError: from every method: the inventory does not answer.
    """

    def __init__(self, connection: ClusterConnection) -> None:
        self._connection = connection

    def advance(
        self,
        findings: Iterable[Finding],
        *,
        targets: Collection[str],
        now: datetime,
        unjudged: Mapping[str, Collection[tuple[str, str]]] | None = None,
        rhythm: Rhythm = Rhythm(),  # noqa: B008 a frozen value
    ) -> None:
        """Enter what one watch of these targets found, and what it found no longer.

        :param targets: that were looked at; findings of others stay as they are.
        :param unjudged: by target, (check, subject) that could not be judged this time: that they were not
            found does not close them. ``EVERY_SUBJECT`` stands for all of a check.
        """
        spared = unjudged or {}
        found = worst_of_each(findings)
        with self._transaction(_WATCHING) as session:
            open_rows = {row.state.finding.key: row for row in _open_rows(session)}
            for key, finding in found.items():
                row = open_rows.get(key)
                back = 0 if row else _came_back(session, finding, now - rhythm.close_at_most)
                _enter(session, row, finding, now, reopenings=back)
            for key, row in open_rows.items():
                finding = row.state.finding
                watched = finding.target in targets and finding.check != REPORTED
                if key not in found and watched and not _spared(finding, spared):
                    _update(session, row, missed(row.state, now, rhythm))

    def report(
        self, finding: Finding, *, now: datetime, facts: Mapping[str, object] | None = None
    ) -> OpenFinding | None:
        """Enter one finding that no watch looks for. :returns: as it was before; None: it is new."""
        with self._transaction(_WATCHING) as session:
            row = next((one for one in _open_rows(session) if one.state.finding.key == finding.key), None)
            _enter(session, row, finding, now, facts=facts)
        return row.state if row else None

    def close(self, finding: Finding, *, now: datetime) -> None:
        """It is over; whoever was told of it is told that."""
        with self._transaction(_WATCHING) as session:
            for row in _open_rows(session):
                if row.state.finding.key == finding.key:
                    _update(session, row, replace(row.state, absent_since=now, closed_at=now))

    def remember(self, finding: Finding, facts: Mapping[str, object]) -> None:
        """Add to what is remembered of an open one, as if it had not been looked at."""
        with self._transaction(_WATCHING) as session:
            for row in _open_rows(session):
                if row.state.finding.key == finding.key:
                    _update(session, row, replace(row.state, facts={**row.state.facts, **facts}))

    def drop(
        self, finding: Finding | None = None, *, now: datetime, known_targets: Collection[str] | None = None
    ) -> None:
        """Close one finding, or all of targets other than these, without telling anybody."""
        key = finding.key if finding else (None, None, None)
        values = dict(zip(("target", "check_name", "subject"), key, strict=True))
        with self._transaction(_WATCHING) as session:
            session.execute(
                load_sql("inventory/drop_findings").encode(),
                {**values, "now": now, "known": None if known_targets is None else list(known_targets)},
            )

    def open(self, target: str | None = None) -> tuple[OpenFinding, ...]:
        """What is wrong now, the worst first."""
        with self._errors(), self._connection.connect() as session:
            return read_open_findings(session, target)

    def closed(self, target: str, since: datetime) -> tuple[OpenFinding, ...]:
        """What was wrong, and has closed since then; the newest first."""
        with self._errors(), self._connection.connect() as session:
            return read_closed_findings(session, target, since)

    @contextmanager
    def telling(self) -> Iterator[Telling]:
        """What may have to be told, for one teller at a time: another waits, and then finds it told.

        What was marked is kept at once, whatever becomes of the block and of the session with the lock.
        """
        with self._transaction(_TELLING) as session:
            # People take their time to be told.
            session.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            yield Telling(session, self)

    def mark(self, rows: Iterable[Row]) -> None:
        """Remember whom they say was told. What a watch writes meanwhile stays."""
        told = [{"id": row.id, **told_to_row(row.state)} for row in rows]
        with self._errors(), self._connection.connect(autocommit=False) as session:
            session.cursor().executemany(load_sql("inventory/mark_told").encode(), told)

    def _errors(self) -> Any:
        connection = self._connection
        return source_errors(f"inventory {connection.location}", secret=connection.password)

    @contextmanager
    def _transaction(self, lock: int) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        connection = self._connection
        with (
            self._errors(),
            connection.connect(autocommit=False, application_name="backstop:findings") as session,
        ):
            # Who holds it is quick, or tells people for a while: longer than this, and the next run does it.
            session.execute("SET LOCAL lock_timeout = '90s'")
            session.execute("SELECT pg_advisory_xact_lock(%s)", (lock,))
            yield session


class Telling:
    """The findings that are open, or whose end has not been told, under a lock."""

    def __init__(self, session: psycopg.Connection[tuple[Any, ...]], findings: Findings) -> None:
        self._session = session
        self._findings = findings
        self.rows = from_rows(session.execute(load_sql("inventory/findings_unsettled").encode()).fetchall())

    def mark(self, rows: Iterable[Row]) -> None:
        """Remember whom they say was told, in a session of its own: that with the lock may be cut off while
        somebody is told, and who was told before must not be told again each time."""
        self._findings.mark(rows)

    def settle(self, rows: Iterable[Row]) -> None:
        """Nobody will have to be told of these any more; open ones stay."""
        ids = [row.id for row in rows]
        self._session.execute(load_sql("inventory/settle_findings").encode(), {"ids": ids})


def read_open_findings(
    session: psycopg.Connection[tuple[Any, ...]], target: str | None = None
) -> tuple[OpenFinding, ...]:
    """What is wrong now, in a session of the caller's; the worst first."""
    return tuple(row.state for row in _open_rows(session, target))


def read_closed_findings(
    session: psycopg.Connection[tuple[Any, ...]], target: str, since: datetime
) -> tuple[OpenFinding, ...]:
    """What was wrong, and has closed since then, in a session of the caller's; the newest first."""
    question = load_sql("inventory/findings_closed").encode()
    rows = session.execute(question, {"target": target, "since": since}).fetchall()
    return tuple(row.state for row in from_rows(rows))


def _open_rows(session: psycopg.Connection[tuple[Any, ...]], target: str | None = None) -> list[Row]:
    question = load_sql("inventory/findings_open").encode()
    return from_rows(session.execute(question, {"target": target}).fetchall())


def _enter(
    session: psycopg.Connection[tuple[Any, ...]],
    row: Row | None,
    finding: Finding,
    now: datetime,
    *,
    facts: Mapping[str, object] | None = None,
    reopenings: int = 0,
) -> None:
    state = seen(row.state if row else None, finding, now)
    state = replace(state, reopenings=reopenings) if row is None else state
    state = state if facts is None else replace(state, facts={**state.facts, **facts})
    if row is None:
        session.execute(load_sql("inventory/insert_finding").encode(), to_row(state))
    else:
        _update(session, row, state)


def _came_back(session: psycopg.Connection[tuple[Any, ...]], finding: Finding, since: datetime) -> int:
    """How often a new one has come back: what closed so lately and is here again has to stay away longer."""
    asked = {
        "target": finding.target,
        "check_name": finding.check,
        "subject": finding.subject,
        "since": since,
    }
    row = session.execute(load_sql("inventory/reopenings_lately").encode(), asked).fetchone()
    return row[0] + 1 if row else 0


def _update(session: psycopg.Connection[tuple[Any, ...]], row: Row, state: OpenFinding) -> None:
    if state != row.state:
        session.execute(load_sql("inventory/update_finding").encode(), {"id": row.id, **to_row(state)})


def _spared(finding: Finding, unjudged: Mapping[str, Collection[tuple[str, str]]]) -> bool:
    return not judged(finding, unjudged.get(finding.target, ()))
