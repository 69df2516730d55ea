"""Everything about one target, from an inventory with one of each trouble."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backstop.commands.recoverability.target import HISTORY, read_target
from backstop.model.retention_policy import RetentionPolicy
from backstop.sql import load_sql
from tests.fleet import name_of
from tests.fleet_troubles import TROUBLES

pytestmark = pytest.mark.integration

NAMES = {trouble.name: name_of(number) for number, trouble in enumerate(TROUBLES)}
KEPT = {"local": timedelta(days=30), "s3": timedelta(days=90)}


def policies(repository, _label):
    return RetentionPolicy(keep_for=KEPT[repository])


@pytest.fixture
def view(fleet, fleet_now):
    def read(trouble):
        with fleet.connect() as session:
            return read_target(session, NAMES[trouble], policies=policies, now=fleet_now)

    return read


def test_what_has_expired_is_in_the_series_but_not_among_what_is_there(view):
    calibrify = view("none")

    (dumps,) = [one for one in calibrify.series if one.kind == "dump"]
    there = {one.label for one in calibrify.backups if one.component == "dump" and one.repository == "local"}
    assert len(dumps.sizes) > len(there) > 25
    assert len(dumps.sizes) == len(dumps.seconds)
    assert dumps.restores


def test_full_and_incremental_base_backups_are_series_of_their_own(view):
    kinds = [one.kind for one in view("none").series]

    assert kinds[:3] == ["dump", "full base backup", "incremental base backup"]


def test_findings_are_those_that_are_open_and_those_closed_in_the_last_fortnight(view, fleet_now):
    late = view("late")

    assert [one.finding.check for one in late.open] == ["completed"]
    assert late.closed
    assert all(one.closed_at is not None for one in late.closed)
    assert all(fleet_now - one.closed_at < timedelta(days=14) for one in late.closed)


def test_the_next_to_go_is_the_oldest_that_nothing_keeps(view, fleet_now):
    local = next(
        one for one in view("none").departures if (one.component, one.repository) == ("dump", "local")
    )

    assert local.next is not None
    assert local.next.label == local.all[0].label
    assert fleet_now < local.next.not_before < fleet_now + timedelta(days=3)
    assert local.not_in_sight == 1


def test_a_target_that_was_never_backed_up_has_a_view_without_backups(view):
    nothing = view("never backed up")

    assert nothing.is_known
    assert (nothing.backups, nothing.series, nothing.departures) == ((), (), ())


def test_a_name_nobody_knows_is_not_known(fleet, fleet_now):
    with fleet.connect() as session:
        assert not read_target(session, "unheard-of", policies=policies, now=fleet_now).is_known


@pytest.mark.parametrize("name", ["backups", "restores", "holds", "newest_backups"])
def test_each_question_is_answered_by_an_index_where_the_table_is_large(fleet, fleet_now, name):
    values = {
        "target": "calibrify", "targets": ["calibrify"], "label": None, "now": fleet_now,
        "since": fleet_now - HISTORY,
    }  # fmt: skip
    with fleet.connect() as session:
        rows = session.execute(f"EXPLAIN {load_sql(f'recoverability/{name}')}".encode(), values).fetchall()

    plan = "\n".join(line for (line,) in rows)
    assert "Seq Scan on backup_inventory" not in plan
    assert "Seq Scan on backup_proof" not in plan
