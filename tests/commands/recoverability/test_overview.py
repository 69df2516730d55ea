"""All targets at a glance, from an inventory with one of each trouble."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backstop.commands.recoverability.overview import read_overview
from backstop.model.standing import Word
from tests.fleet import name_of
from tests.fleet_troubles import TROUBLES

pytestmark = pytest.mark.integration

NAMES = {trouble.name: name_of(number) for number, trouble in enumerate(TROUBLES)}


@pytest.fixture
def overview(fleet, fleet_now):
    with fleet.connect() as session:
        return read_overview(session, targets=list(NAMES.values()), now=fleet_now)


@pytest.fixture
def rows(overview):
    of_target = {row.target: row for row in overview.rows}
    return {trouble: of_target[name] for trouble, name in NAMES.items()}


def test_every_trouble_has_its_word(rows):
    assert {trouble: row.standing.word for trouble, row in rows.items()} == {
        "none": Word.RESTORABLE,
        "never backed up": Word.NOTHING,
        "s3 down": Word.NOTICE,
        "gap": Word.NOTICE,
        "unproven": Word.UNPROVEN,
        "late": Word.AT_RISK,
        "stale": Word.UNWATCHED,
        "never watched": Word.UNWATCHED,
        "rpo": Word.AT_RISK,
        "key": Word.AT_RISK,
    }


def test_the_worst_comes_first(overview):
    words = [row.standing.word for row in overview.rows]

    assert words == sorted(words, reverse=True)
    assert overview.rows[0].target == NAMES["never backed up"]


def test_figures_are_those_of_the_watch_and_objectives_stand_beside(rows, fleet_now):
    row = rows["rpo"]

    assert row.loss == timedelta(minutes=17)
    assert row.rpo == timedelta(minutes=5)
    assert row.loses_too_much
    assert row.criticals == 1
    assert row.watched_at == fleet_now - timedelta(minutes=2)
    assert row.forecast is not None
    assert not row.takes_too_long


def test_of_what_no_watch_has_seen_the_inventory_still_tells_the_newest_backup(rows, fleet_now):
    row = rows["never watched"]

    assert row.backup_at is not None
    assert fleet_now - row.backup_at < timedelta(days=2)
    assert row.watched_at is None
    assert row.loss is None


def test_only_what_is_asked_for_is_shown(fleet, fleet_now):
    with fleet.connect() as session:
        overview = read_overview(session, targets=["calibrify", "unheard-of"], now=fleet_now)

    assert [row.target for row in overview.rows] == ["unheard-of", "calibrify"]
    assert overview.rows[0].standing.sentence == "never watched"


def test_an_empty_inventory_has_rows_without_figures(database, fleet_now):
    from backstop.repository.inventory import Inventory

    Inventory(database).migrate()
    with database.connect() as session:
        overview = read_overview(session, targets=["calibrify"], now=fleet_now)

    assert overview.watched_at is None
    assert overview.rows[0].backup_at is None


def test_it_asks_four_questions_however_many_targets(fleet, fleet_now, monkeypatch):
    import psycopg

    asked = []
    execute = psycopg.Connection.execute
    with fleet.connect() as session:
        monkeypatch.setattr(
            psycopg.Connection, "execute", lambda self, *more: asked.append(more[0]) or execute(self, *more)
        )
        read_overview(session, targets=list(NAMES.values()), now=fleet_now)

    assert len(asked) == 4
