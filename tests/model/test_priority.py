"""Who goes first when places are short."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from backstop.model.priority import priority_weight

OBJECTIVES = st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=365))


@given(one=OBJECTIVES, other=OBJECTIVES)
def test_the_shorter_objective_never_waits_for_the_longer_one(one, other):
    shorter, longer = sorted((one, other))

    assert priority_weight("backup", shorter) >= priority_weight("backup", longer)
    assert priority_weight("upkeep", shorter) >= priority_weight("upkeep", longer)


@given(objective=OBJECTIVES)
def test_a_restore_goes_before_the_watch_that_before_any_backup_and_backups_before_upkeep(objective):
    weights = [priority_weight(what, objective) for what in ("restore", "watch", "backup", "upkeep")]

    assert weights == sorted(set(weights), reverse=True)
    assert priority_weight("backup") > priority_weight("upkeep", timedelta(seconds=1))


def test_objectives_that_people_write_give_weights_that_differ():
    written = [
        timedelta(minutes=5),
        timedelta(minutes=15),
        timedelta(hours=1),
        timedelta(days=1),
        timedelta(days=7),
    ]

    weights = [priority_weight("backup", rpo) for rpo in written] + [priority_weight("backup")]

    assert weights == sorted(set(weights), reverse=True)
