"""How a recovery stands, and how long it will be yet."""

from __future__ import annotations

from datetime import timedelta

from tests.telling import DECLARED_AT, FakeIncident, after, part


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def test_before_anything_has_begun_the_estimate_is_that_of_every_component_one_after_the_other():
    estimate = FakeIncident().situation(DECLARED_AT).estimate

    assert estimate is not None
    assert (estimate.low, estimate.median, estimate.high) == (minutes(10), minutes(20), minutes(30))


def test_what_has_been_spent_on_a_component_is_taken_off_and_what_is_back_counts_no_more():
    incident = FakeIncident()
    incident.step("recover:base", "passed", began_at=after(0))
    incident.step("recover:tree:media", "running", began_at=after(12))

    estimate = incident.situation(after(18)).estimate

    assert estimate is not None
    assert (estimate.low, estimate.median, estimate.high) == (minutes(0), minutes(4), minutes(9))


def test_what_takes_longer_than_its_forecast_has_no_estimate_any_more():
    incident = FakeIncident()
    incident.step("recover:base", "running", began_at=after(0))

    situation = incident.situation(after(16))

    assert situation.overdue
    assert situation.estimate is None


def test_one_component_without_a_forecast_leaves_no_estimate_of_the_whole():
    incident = FakeIncident(parts=[part("base"), part("tree:media", forecast=None)])

    assert incident.situation(DECLARED_AT).estimate is None


def test_a_component_that_failed_is_still_to_come():
    incident = FakeIncident()
    incident.step("recover:base", "failed", began_at=after(0), sentence="no room")
    incident.step("recover:tree:media", "passed", began_at=after(5))

    situation = incident.situation(after(9))

    assert situation.failures == ("no room",)
    assert not situation.complete
    assert situation.estimate is not None
    assert situation.estimate.median == minutes(10)


def test_a_recovery_is_complete_when_everything_is_back_or_left_out_and_nothing_that_was_checked_failed():
    incident = FakeIncident()
    incident.step("recover:base", "passed")
    incident.step("recover:tree:media", "skipped")
    incident.step("validate:functionality", "passed")
    assert incident.situation(after(30)).complete

    incident.step("validate:functionality", "failed", sentence="the page answers 500")
    assert not incident.situation(after(30)).complete


def test_what_came_back_is_told_as_it_was_measured_and_not_as_it_was_planned():
    incident = FakeIncident()
    incident.step("recover:base", "passed", facts={"loss_seconds": 7.0})

    back = incident.situation(after(30)).parts[0]

    assert (back.state, back.loss) == ("back", timedelta(seconds=7))
