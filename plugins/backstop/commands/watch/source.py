"""The protected database, as the role that dumps it finds it: does it answer, and what time has it?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.commands.watch.clocks import judge_clock, offset
from backstop.commands.watch.part import ClockSeen, Part
from backstop.errors import SourceError
from backstop.model.finding import Finding, Level

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from backstop.postgres.connection import ClusterConnection

SUBJECT = "database"
CONNECT_SECONDS = 5
_TIME = "SELECT pg_catalog.clock_timestamp()"
_TRIES = 3


def look_at_source(
    *, target: str, database: ClusterConnection, clock_skew: timedelta, clock: Callable[[], datetime]
) -> Part:
    """Connect, and compare clocks by the quickest of a few questions.

    A server that does not answer is a warning: nobody can write to it either, and what is stored stands. One
    that refuses our role is critical, because it goes on being written to and time does not heal that.
    """
    try:
        with database.connect(
            application_name="backstop:watch", connect_timeout_seconds=CONNECT_SECONDS
        ) as session:
            answers = []
            for _ in range(_TRIES):
                before = clock()
                row = session.execute(_TIME).fetchone()
                after = clock()
                assert row is not None  # noqa: S101 a SELECT without FROM
                answers.append((after - before, offset(row[0], before=before, after=after)))
    except SourceError as error:
        return Part(
            findings=(source_finding(error, target=target, subject=SUBJECT, lost="no dump can be taken"),),
            unseen=(f"the database's clock: {error.message}",),
            unjudged=frozenset({("clock", SUBJECT)}),
        )
    seen = ClockSeen(SUBJECT, min(answers)[1])
    return Part(seen=(seen,), findings=judge_clock(seen, target=target, clock_skew=clock_skew))


def source_finding(error: SourceError, *, target: str, subject: str, lost: str) -> Finding:
    """What a server's refusal, or its silence, means.

    :param lost: what cannot be done as long as it lasts.
    """
    return Finding(
        target=target,
        check="source",
        subject=subject,
        level=Level.WARNING if error.retryable else Level.CRITICAL,
        sentence=f"{error.message}: {lost} while that lasts",
        next_step=error.hint,
    )
