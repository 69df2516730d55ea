"""The protected database as the role that dumps it finds it, and clocks that disagree."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backstop.commands.watch.clocks import BREAKS_LEASES, judge_clock
from backstop.commands.watch.part import ClockSeen
from backstop.commands.watch.source import look_at_source
from backstop.model.finding import Level
from backstop.postgres.connection import ClusterConnection
from tests.protection import utc_now

if TYPE_CHECKING:
    from backstop.commands.watch.part import Part
    from embedded.postgres import EmbeddedPostgres

SKEW = timedelta(seconds=30)


def look(database: ClusterConnection, *, ahead: timedelta = timedelta(0)) -> Part:
    """:param ahead: of the server is our clock."""
    return look_at_source(
        target="calibrify", database=database, clock_skew=SKEW, clock=lambda: utc_now() + ahead
    )


def found(part: Part) -> dict[tuple[str, str], Level]:
    return {(one.check, one.subject): one.level for one in part.findings}


@pytest.mark.integration
def test_a_database_that_answers_has_our_time_and_nothing_is_said(postgres18: EmbeddedPostgres):
    part = look(postgres18.connection())

    (clock,) = part.seen
    assert part.findings == ()
    assert clock.name == "database"
    assert abs(clock.ahead_seconds) < 5


@pytest.mark.integration
def test_a_clock_that_is_off_is_a_warning_and_critical_once_leases_break_by_it(postgres18: EmbeddedPostgres):
    database = postgres18.connection()

    warned = look(database, ahead=timedelta(minutes=2))
    urgent = look(database, ahead=-timedelta(hours=1))

    assert found(warned) == {("clock", "database"): Level.WARNING}
    assert "behind ours" in warned.findings[0].sentence
    assert found(urgent) == {("clock", "database"): Level.CRITICAL}
    assert "ahead of ours" in urgent.findings[0].sentence
    assert look(database).findings == ()


@pytest.mark.parametrize(
    ("apart", "level"),
    [
        (SKEW, None),
        (SKEW * 1.1, Level.WARNING),
        (BREAKS_LEASES, Level.WARNING),
        (BREAKS_LEASES * 1.1, Level.CRITICAL),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_what_is_still_in_order_says_targets_yaml_and_what_breaks_leases_their_time(
    apart: timedelta, level: Level | None, sign: int
):
    clock = ClockSeen("repository s3", sign * apart.total_seconds())

    findings = judge_clock(clock, target="calibrify", clock_skew=SKEW)

    assert [one.level for one in findings] == ([level] if level else [])


@pytest.mark.integration
def test_a_wrong_password_is_critical_and_in_no_sentence(postgres18: EmbeddedPostgres):
    part = look(replace(postgres18.connection(), password="hunter2-hunter2"))

    assert found(part) == {("source", "database"): Level.CRITICAL}
    assert "password authentication failed" in part.findings[0].sentence
    assert "hunter2" not in str(part)
    assert part.unjudged == {("clock", "database")}


@pytest.mark.integration
@pytest.mark.parametrize("changes", [{"dbname": "nobody"}, {"user": "nobody"}])
def test_a_database_or_role_that_is_gone_is_critical(postgres18: EmbeddedPostgres, changes: dict[str, Any]):
    part = look(replace(postgres18.connection(), **changes))

    assert found(part) == {("source", "database"): Level.CRITICAL}
    assert part.findings[0].next_step


def test_a_server_that_is_down_is_a_warning_because_nobody_writes_to_it_either():

    part = look(ClusterConnection("127.0.0.1", 1, "backup", "calibrify", password="hunter2-hunter2"))

    assert found(part) == {("source", "database"): Level.WARNING}
    assert "no dump can be taken while that lasts" in part.findings[0].sentence
