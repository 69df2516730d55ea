"""What was seen in WAL decides: a restore point that is not there is refused, and the nearest is named."""

import pytest

from backstop.errors import RecoveryImpossibleError
from backstop.model.recovery import plan_recovery, windows_for
from backstop.model.recovery_look import Look, Sighting, nearest_names, nearest_transactions, precedes
from backstop.model.recovery_target import RecoveryTarget
from tests.model.recovering import lsn, minute, plain_cluster

NOW = minute(60)


def plan(target: str, look: Look):
    return plan_recovery(RecoveryTarget.parse(target), plain_cluster().sources(), now=NOW, look=look)


def sighting(target: str, segments: float) -> Sighting:
    return Sighting(target, lsn(segments))


def test_what_was_found_decides_which_base_backup_is_taken_and_where_recovery_stops():
    look = Look(sighting("name:before", 4.5), (), True, "restore point before lies at 0/4800000")

    found = plan("name:before", look)

    assert (found.chain, found.stop_lsn) == (("base-2",), lsn(4.5))
    assert look.says in found.why


def test_a_name_that_is_nowhere_is_refused_and_the_nearest_that_can_be_reached_is_offered():
    others = (sighting("name:befor", 1.0), sighting("name:after", 7.5))  # the first lies before all bases
    look = Look(None, others, True, "no restore point of that name is there")

    with pytest.raises(RecoveryImpossibleError, match="no restore point of that name") as refused:
        plan("name:before", look)

    assert str(refused.value.nearest) == "name:after"
    assert plan("name:after", look).stop_lsn == lsn(7.5)


def test_without_any_other_the_latest_is_offered():
    with pytest.raises(RecoveryImpossibleError, match="was not begun") as refused:
        plan("xid:4711", Look(None, (), True, "it was not begun by then"))

    assert str(refused.value.nearest) == "latest"


def test_what_nobody_has_looked_through_to_its_end_is_tried_and_said():
    found = plan("name:before", Look(None, (), False, "name:before was not met in 1000 bytes"))

    assert found.stop_lsn is None
    assert "because name:before was not met in 1000 bytes" in found.why[0]


def test_windows_in_which_a_name_may_lie_are_those_of_its_timeline_that_can_be_used():
    found = windows_for(RecoveryTarget.parse("name:before"), plain_cluster().without(2).sources(), now=NOW)

    assert [window.base.label for window in found] == ["base-6"]
    assert not windows_for(
        RecoveryTarget.parse("name:before", timeline=9), plain_cluster().sources(), now=NOW
    )


def test_names_alike_come_first_and_then_the_newest():
    points = [sighting("name:before_deploy", 1), sighting("name:x", 2), sighting("name:y", 3)]

    near = nearest_names("before_deplo", points)

    assert [one.target for one in near] == ["name:before_deploy", "name:y", "name:x"]


def test_transaction_ids_go_round_in_a_circle():
    assert precedes(5, 6)
    assert not precedes(6, 6)
    assert precedes((1 << 32) - 1, 5)
    near = nearest_transactions(3, [sighting("xid:9", 1), sighting(f"xid:{(1 << 32) - 1}", 1)])
    assert near[0].target == f"xid:{(1 << 32) - 1}"
