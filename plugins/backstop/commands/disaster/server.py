"""What is left of a server and a database, seen by asking them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.commands.disaster.component import Condition, Found
from backstop.errors import BackstopError, SourceBusyError, SourceError, SourceUnavailableError
from backstop.sql import load_sql

if TYPE_CHECKING:
    from backstop.commands.disaster.component import Sources
    from backstop.model.backup import Manifest
    from backstop.postgres.connection import ClusterConnection

START_IT = "start it, or mend the way to it; where it does not start, say that the database is lost"
"""What cannot be told by asking, and what to do about it."""
_JUDGED = re.compile(r"\(SQLSTATE (?:28|42|53|55|57)")
_IDENTITY = "SELECT system_identifier FROM pg_control_system()"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a server says of itself. :param tables: of the database; None: there is no such database."""

    system_id: str
    tables: int | None


def ask_server(connection: ClusterConnection) -> Seen:
    """:raises SourceUnavailableError: nobody answers. :raises SourceError: it refuses us."""
    try:
        with connection.connect(application_name="backstop:assess", connect_timeout_seconds=5) as session:
            [system_id] = session.execute(_IDENTITY).fetchone() or (0,)
            [tables] = session.execute(load_sql("catalog/count_tables").encode()).fetchone() or (0,)
            return Seen(str(system_id), int(tables))
    except SourceUnavailableError:
        raise
    except SourceError as error:
        if "3D000" not in error.message:
            raise
    elsewhere = connection.with_database("postgres")
    with elsewhere.connect(application_name="backstop:assess", connect_timeout_seconds=5) as session:
        [system_id] = session.execute(_IDENTITY).fetchone() or (0,)
        return Seen(str(system_id), None)


def judges_us(error: BackstopError) -> bool:
    """Whether a server that refuses could still read its own catalogs: it has its files."""
    return isinstance(error, SourceBusyError) or _JUDGED.search(error.message) is not None


def look_at_database(connection: ClusterConnection, sources: Sources) -> Found:
    """Whether the database is there, with the tables that its newest dump has."""
    try:
        seen = ask_server(connection)
    except SourceUnavailableError as error:
        return Found(Condition.UNKNOWN, f"the server does not answer: {error.message}", (START_IT,))
    except BackstopError as error:
        return Found(Condition.UNKNOWN, f"the server answers, and refuses us: {error.message}")
    return judge_database(connection.dbname, seen, newest_dump(sources))


def judge_database(database: str, seen: Seen, dump: Manifest | None) -> Found:
    """:param dump: the newest one; None: there is none to compare with."""
    if seen.tables is None:
        return Found(Condition.GONE, f"the server answers, and has no database {database}")
    expected = dump.summary.get("tables") if dump else None
    if dump is None or not isinstance(expected, int):
        return Found(Condition.WHOLE, f"the server answers, and {database} has {seen.tables} tables")
    if 0 < seen.tables < expected:
        return Found(
            Condition.UNKNOWN,
            f"{database} has {seen.tables} tables; its newest dump, {dump.label}, has {expected}",
            ("a table was dropped on purpose or by mistake: that cannot be told from here",),
        )
    if seen.tables < expected:
        return Found(
            Condition.DAMAGED,
            f"{database} has {seen.tables} tables; its newest dump, {dump.label}, has {expected}",
        )
    return Found(
        Condition.WHOLE,
        f"the server answers, and {database} has the {expected} tables of its newest dump, or more",
        ("what is in them was not compared",),
    )


def newest_dump(sources: Sources) -> Manifest | None:
    """Of all repositories; what cannot be read is passed over."""
    newest: Manifest | None = None
    for repository in sources.repositories:
        try:
            dumps = repository.catalog.backups().dumps
        except BackstopError:
            continue
        for one in dumps:
            if newest is None or one.manifest.finished_at > newest.finished_at:
                newest = one.manifest
    return newest
