"""Which ways back there are after a disaster, and which is recommended."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from backstop.model.incident_option import Reach, Wanted
from backstop.model.incident_options import options_for
from backstop.model.observation import ForecastSeen
from tests.making import STARTED

LOST_AT = STARTED + timedelta(days=10)
MEDIA = [Wanted("tree:media", rto=timedelta(hours=4), rpo=timedelta(hours=24))]
BASE = [Wanted("base", rto=timedelta(hours=1), rpo=timedelta(minutes=5))]


def hours(count: float) -> timedelta:
    return timedelta(hours=count)


def backup(age: float, component: str = "tree:media", **others) -> Reach:
    at = LOST_AT - hours(age)
    given = {"repository": "near", "label": f"{component}-{age:g}h", "stored_at": at, **others}
    return Reach(component=component, begins_at=at, ends_at=at, **given)


def window(begins: float, ends: float, **others) -> Reach:
    given = {
        "repository": "near",
        "label": f"base-{begins:g}h",
        "stored_at": LOST_AT - hours(begins),
        **others,
    }
    return Reach(
        component="base",
        begins_at=LOST_AT - hours(begins),
        ends_at=LOST_AT - hours(ends),
        timeline=1,
        **given,
    )


def takes(minutes: float) -> ForecastSeen:
    return ForecastSeen(minutes * 60, minutes * 45, minutes * 90, samples=9)


def by_id(options):
    return {one.id: one for one in options}


def labels(option):
    return [part.reach.label for part in option.parts]


def test_the_newest_backup_is_recommended_when_nothing_speaks_against_it():
    found = options_for(MEDIA, [backup(30), backup(6, proven=True)], lost_at=LOST_AT)

    assert found[0].recommended
    assert labels(found[0]) == ["tree:media-6h"]
    assert found[0].loss == hours(6)
    assert "a restore has proven it" in found[0].because


def test_the_newest_and_what_was_proven_last_are_two_options_when_they_differ():
    found = by_id(options_for(MEDIA, [backup(30, proven=True), backup(6)], lost_at=LOST_AT))

    assert labels(found["newest"]) == ["tree:media-6h"]
    assert labels(found["last-proven"]) == ["tree:media-30h"]
    assert found["newest"].recommended
    assert "compared before it replaces anything" in found["newest"].because
    assert any("never proven" in sentence for sentence in found["newest"].risk)
    assert any("1 d 6 h of work are lost, and 1 d are allowed" in one for one in found["last-proven"].risk)


def test_a_backup_whose_verification_failed_is_no_option():
    doubted = backup(6, doubt="its last verification failed: one file differs")

    found = options_for(MEDIA, [backup(30, proven=True), doubted], lost_at=LOST_AT)

    assert all("tree:media-6h" not in labels(one) for one in found)


def test_before_a_mistake_the_state_just_before_it_is_recommended_and_nothing_later():
    mistake = LOST_AT - hours(2)
    reaches = [window(50, 0, proven=True), window(1, 0)]

    found = options_for(BASE, reaches, lost_at=mistake, before=mistake)

    best = found[0]
    assert (best.id, best.recommended) == ("before", True)
    assert labels(best) == ["base-50h"]
    assert best.parts[0].to == mistake
    assert best.parts[0].point == mistake.strftime("time:%Y-%m-%dT%H:%M:%S.%fZ")
    assert best.loss == timedelta(0)
    assert any("written after" in sentence for sentence in by_id(found)["newest"].risk)


def test_after_an_attack_what_was_proven_and_stored_before_is_an_option_of_its_own():
    attack = LOST_AT - hours(10)
    reaches = [backup(40, proven=True), backup(12), backup(4, proven=True)]

    found = by_id(options_for(MEDIA, reaches, lost_at=attack, before=attack))

    assert labels(found["before"]) == ["tree:media-12h"]
    assert labels(found["last-proven"]) == ["tree:media-40h"]
    assert found["before"].recommended


def test_a_backup_proven_but_stored_after_the_attack_is_not_trusted():
    attack = LOST_AT - hours(10)
    late = replace(backup(12, proven=True), stored_at=attack + timedelta(minutes=5))

    found = by_id(options_for(MEDIA, [backup(40, proven=True), late], lost_at=attack, before=attack))

    assert labels(found["last-proven"]) == ["tree:media-40h"]


def test_a_moment_behind_the_end_of_the_wal_is_reached_by_its_end():
    moment = LOST_AT - timedelta(minutes=1)

    [best, *_] = options_for(BASE, [window(50, 1)], lost_at=moment, before=moment)

    assert best.parts[0].point == "latest"
    assert best.parts[0].to == LOST_AT - hours(1)
    assert best.loss == hours(1) - timedelta(minutes=1)


def test_the_window_that_replays_least_is_taken_of_those_that_lead_to_the_same_end():
    [best, *_] = options_for(BASE, [window(50, 0), window(20, 0)], lost_at=LOST_AT)

    assert labels(best) == ["base-20h"]


def test_what_is_proven_is_taken_of_two_that_lead_to_the_same_end():
    [best, *_] = options_for(BASE, [window(50, 0, proven=True), window(20, 0)], lost_at=LOST_AT)

    assert labels(best) == ["base-50h"]


def test_the_cheaper_repository_is_read_of_two_that_hold_the_same():
    reaches = [backup(6, repository="s3", rank=1), backup(6, repository="near", rank=0)]

    found = by_id(options_for(MEDIA, reaches, lost_at=LOST_AT))

    assert found["newest"].parts[0].reach.repository == "near"
    assert found["repository:s3"].parts[0].reach.repository == "s3"
    assert "repository:near" not in found  # that is the newest one


def test_a_dump_is_offered_instead_of_the_server():
    reaches = [window(50, 0), backup(10, component="dump", proven=True)]

    found = by_id(options_for(BASE, reaches, lost_at=LOST_AT, alternatives={"base": "dump"}))

    assert labels(found["dump"]) == ["dump-10h"]
    assert found["newest"].recommended
    assert any("every database of that server" in sentence for sentence in found["newest"].risk)


def test_when_the_least_loss_takes_too_long_what_keeps_both_objectives_is_recommended():
    slow = window(50, 0, forecast=takes(180))
    quick = backup(0.05, component="dump", proven=True, forecast=takes(10))

    [best, *_] = options_for(BASE, [slow, quick], lost_at=LOST_AT, alternatives={"base": "dump"})

    assert best.id == "dump"
    assert "both objectives" in best.because


def test_too_slow_and_nothing_else_keeps_the_objectives_the_least_loss_stays_recommended():
    slow = window(50, 0, forecast=takes(180))
    old = backup(30, component="dump", proven=True, forecast=takes(10))

    [best, *_] = options_for(BASE, [slow, old], lost_at=LOST_AT, alternatives={"base": "dump"})

    assert best.id == "newest"
    assert any("may take 4 h 30 min, and 1 h are allowed" in sentence for sentence in best.risk)


def test_what_takes_how_long_is_added_up_over_the_components():
    reaches = [window(50, 0, forecast=takes(20)), backup(6, forecast=takes(10))]

    [best, *_] = options_for([*BASE, *MEDIA], reaches, lost_at=LOST_AT)

    assert best.forecast is not None
    assert best.forecast.median_seconds == 30 * 60
    assert best.loss == hours(6)


def test_one_component_nobody_can_time_makes_the_whole_unknown():
    [best, *_] = options_for([*BASE, *MEDIA], [window(50, 0, forecast=takes(20)), backup(6)], lost_at=LOST_AT)

    assert best.forecast is None
    assert any("nobody knows how long" in sentence for sentence in best.risk)


def test_what_cannot_come_back_is_said_and_what_can_is_recommended():
    [best, *_] = options_for([*BASE, *MEDIA], [backup(6)], lost_at=LOST_AT)

    assert not best.complete
    assert best.impossible == ("base: nothing of it leads there",)
    assert "brings back the most" in best.because


def test_without_anything_there_is_no_option():
    assert options_for(MEDIA, [], lost_at=LOST_AT) == ()


def test_a_server_that_had_nothing_to_write_has_lost_what_the_watch_saw_and_not_hours():
    idle = window(50, 3)

    [unseen, *_] = options_for(BASE, [idle], lost_at=LOST_AT)
    [seen, *_] = options_for(BASE, [replace(idle, behind=timedelta(seconds=2))], lost_at=LOST_AT)

    assert (unseen.loss, unseen.parts[0].measured) == (hours(3), None)
    assert (seen.loss, seen.parts[0].measured) == (timedelta(seconds=2), timedelta(seconds=2))


def test_the_loss_at_an_earlier_moment_is_none_of_what_was_missing_at_the_end():
    seen = window(50, 0, behind=timedelta(minutes=3))

    [best, *_] = options_for(BASE, [seen], lost_at=LOST_AT - hours(1), before=LOST_AT - hours(1))

    assert best.loss == timedelta(0)
