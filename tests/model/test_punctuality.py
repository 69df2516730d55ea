"""Whether what was due is there, whatever ran and whatever clocks say."""

from datetime import datetime, timedelta, timezone

from hypothesis import given, settings
from hypothesis import strategies as st

from backstop.model.punctuality import punctuality, usual_duration

MONDAY = datetime(2026, 11, 23, tzinfo=timezone.utc)
NIGHTLY = "0 1 * * *"
SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
SCHEDULES = ("*/5 * * * *", "17 * * * *", NIGHTLY, "30 4 * * 0", "0 3 1 * *", "0 22 * * 1-5", "@daily")
UNTIMED = settings(deadline=None)
"""A busy machine is no fault of the code."""


def at(hour: float, day: int = 0) -> datetime:
    return MONDAY + day * DAY + timedelta(hours=hour)


def judged(*completed, now, schedule=NIGHTLY, usual=10 * MINUTE, known_since=None, late_after=HOUR):
    return punctuality(
        schedule, completed, now=now, late_after=late_after, usual=usual, known_since=known_since
    )


def test_what_followed_its_due_time_is_on_time_and_the_next_one_is_named():
    verdict = judged(at(1.2), now=at(12))

    assert verdict.on_time
    assert not verdict.overdue
    assert verdict.overdue_by == timedelta(0)
    assert (verdict.due_at, verdict.next_due_at) == (at(1), at(1, day=1))
    assert verdict.sentence == (
        "the backup due at 2026-11-23 01:00 UTC is there; the next is due at 2026-11-24 01:00 UTC"
    )


def test_a_missed_backup_has_its_time_then_is_not_on_time_then_is_overdue():
    yesterday = at(1.2, day=-1)

    early = judged(yesterday, now=at(1) + 20 * MINUTE)
    late = judged(yesterday, now=at(1) + 21 * MINUTE)
    overdue = judged(yesterday, now=at(4))

    assert (early.on_time, late.on_time, overdue.on_time) == (True, False, False)
    assert (early.overdue, late.overdue, overdue.overdue) == (False, False, True)
    assert early.sentence == (
        "the backup due at 2026-11-23 01:00 UTC is not there yet, and has time until 2026-11-23 01:20 UTC"
    )
    assert overdue.overdue_by == 3 * HOUR
    assert overdue.sentence == (
        "the backup due at 2026-11-23 01:00 UTC, 3 h ago, is not there; "
        "the newest ended at 2026-11-22 01:12 UTC"
    )


def test_a_quick_backup_has_a_quarter_of_an_hour():
    assert judged(at(1, day=-1), now=at(1.25), usual=2 * SECOND).on_time
    assert not judged(at(1, day=-1), now=at(1.25) + SECOND, usual=2 * SECOND).on_time


def test_the_first_backup_may_take_hours_unless_the_next_is_due_before():
    def first(schedule, minutes):
        return judged(now=at(1) + minutes * MINUTE, schedule=schedule, usual=None, known_since=at(1) - SECOND)

    assert first(NIGHTLY, 240).on_time
    assert first(NIGHTLY, 241).overdue
    assert first("0 * * * *", 60).on_time
    assert first("0 * * * *", 61).overdue


def test_a_backup_that_takes_hours_is_not_overdue_while_it_takes_what_it_usually_does():
    verdict = judged(at(4, day=-1), now=at(6), usual=3 * HOUR)

    assert verdict.on_time
    assert not verdict.overdue
    assert judged(at(4, day=-1), now=at(7) + SECOND, usual=3 * HOUR).overdue


def test_the_next_due_time_forgives_nothing():
    verdict = judged(at(1), now=at(5), schedule="*/5 * * * *", usual=MINUTE)

    assert verdict.due_at == at(1) + 5 * MINUTE
    assert verdict.overdue
    assert verdict.overdue_by == 4 * HOUR - 5 * MINUTE


def test_a_job_that_never_ran_counts_from_when_it_was_first_seen():
    new = judged(now=at(3), known_since=at(2))
    missed = judged(now=at(3, day=1), known_since=at(2), usual=None, late_after=HOUR)
    later = judged(now=at(6, day=1), known_since=at(2), usual=None, late_after=HOUR)

    assert (new.on_time, new.overdue, new.due_at) == (True, False, None)
    assert new.sentence == "the first backup is due at 2026-11-24 01:00 UTC"
    assert (missed.on_time, missed.overdue, missed.due_at) == (True, False, at(1, day=1))
    assert (later.on_time, later.overdue, later.due_at) == (False, True, at(1, day=1))
    assert later.sentence.endswith("5 h ago, is not there; there never was one")


@UNTIMED
@given(st.sampled_from(SCHEDULES), st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)))  # noqa: DTZ001
def test_a_job_that_never_ran_and_is_known_for_long_is_overdue_at_any_moment(schedule, naive):
    now = naive.replace(tzinfo=timezone.utc)

    verdict = judged(now=now, schedule=schedule)

    assert verdict.overdue
    assert not verdict.on_time
    assert verdict.due_at < now - HOUR


def test_a_manual_backup_before_the_due_time_is_not_the_one_that_was_due():
    verdict = judged(at(0.5), now=at(3))

    assert verdict.overdue
    assert verdict.due_at == at(1)


def test_a_manual_backup_after_a_missed_one_makes_up_for_it():
    assert judged(at(9), now=at(9) + SECOND).on_time


def test_backups_by_hand_in_between_change_nothing():
    assert judged(at(1.2), at(8), at(9), now=at(12)) == judged(at(1.2), now=at(12))


def test_a_backup_that_ended_just_before_it_was_due_is_the_one_by_another_clock():
    assert judged(at(1) - 5 * MINUTE, now=at(12)).due_at == at(1)
    assert judged(at(1) - 5 * MINUTE, now=at(12)).on_time
    assert judged(at(1) - 5 * MINUTE - SECOND, now=at(12)).overdue


def test_in_a_dense_schedule_only_seconds_count_as_just_before():
    five = "*/5 * * * *"

    assert judged(at(1) - 30 * SECOND, now=at(1) + 4 * MINUTE, schedule=five).overdue_by == timedelta(0)
    assert judged(at(1) - 31 * SECOND, now=at(1) + 4 * MINUTE, schedule=five).overdue_by == 4 * MINUTE


def test_a_clock_that_is_minutes_ahead_made_a_backup_all_the_same():
    assert judged(at(1.6), now=at(1.3)).on_time


def test_what_is_dated_far_in_the_future_hides_no_missing_backup():
    verdict = judged(at(1, day=-1), at(1, day=3000), now=at(4))

    assert verdict.overdue
    assert verdict.sentence.endswith(
        "the newest ended at 2026-11-22 01:00 UTC; "
        "one is dated 2035-02-09 01:00 UTC, in the future, and says nothing"
    )
    assert judged(at(9, day=3000), at(1, day=3000), now=at(4), known_since=at(0, day=-9)).overdue


def test_a_clock_that_jumps_back_finds_the_backups_of_then():
    nightly = [at(1.2, day=day) for day in range(-30, 30)]

    for jump in range(-29, 29):
        assert judged(*nightly, now=at(6, day=jump), known_since=at(0, day=-31)).on_time


def test_before_it_was_first_seen_nothing_was_due():
    verdict = judged(at(1, day=3000), now=at(4, day=-400), known_since=at(0))

    assert (verdict.on_time, verdict.overdue, verdict.due_at) == (True, False, None)


def test_a_schedule_that_became_denser_accuses_nobody_of_the_past():
    verdict = judged(at(1.2), now=at(13.1), schedule="0 * * * *", known_since=at(12.9))

    assert (verdict.on_time, verdict.due_at) == (True, at(13))
    assert judged(at(1.2), now=at(14.5), schedule="0 * * * *", known_since=at(12.9)).due_at == at(13)


def test_without_a_schedule_nothing_is_ever_late():
    for schedule in (None, ()):
        verdict = judged(now=at(4), schedule=schedule)

        assert (verdict.on_time, verdict.overdue) == (True, False)
        assert verdict.next_due_at is None
        assert verdict.sentence == "no schedule asks for a backup"


def test_each_of_several_schedules_asks_for_a_backup():
    full_and_incremental = ("30 4 * * 0", "30 4 * * 1-6")

    assert judged(at(5, day=-1), now=at(12), schedule=full_and_incremental).due_at == at(4.5)
    assert judged(at(5, day=-1), now=at(12), schedule=full_and_incremental).overdue
    assert judged(at(5), now=at(12), schedule=full_and_incremental).next_due_at == at(4.5, day=1)


def test_what_is_usual_is_the_median_of_the_newest_ten():
    assert usual_duration([]) is None
    assert usual_duration([HOUR] * 30 + [MINUTE] * 6 + [9 * HOUR] * 4) == MINUTE


@UNTIMED
@given(
    st.sampled_from(SCHEDULES),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),  # noqa: DTZ001
    st.lists(st.integers(-40 * 24 * 60, 40 * 24 * 60), max_size=5),
    st.one_of(st.none(), st.integers(0, 5 * 3600)),
    st.one_of(st.none(), st.integers(-40 * 24 * 60, 24 * 60)),
)
def test_the_verdict_does_not_contradict_itself(schedule, naive, minutes, usual, known):
    now = naive.replace(tzinfo=timezone.utc)

    verdict = judged(
        *(now + minute * MINUTE for minute in minutes),
        now=now,
        schedule=schedule,
        usual=None if usual is None else usual * SECOND,
        known_since=None if known is None else now + known * MINUTE,
    )

    assert verdict.next_due_at > now
    assert verdict.due_at is None or verdict.due_at <= now
    assert verdict.overdue_by >= timedelta(0)
    assert not (verdict.on_time and verdict.overdue)
    assert verdict.overdue_by > HOUR or not verdict.overdue
    assert verdict.overdue_by in (timedelta(0), now - (verdict.due_at or now))


@UNTIMED
@given(
    st.sampled_from(SCHEDULES),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),  # noqa: DTZ001
    st.lists(st.integers(0, 40 * 24 * 60), min_size=1, max_size=5),
    st.integers(0, 3 * 24 * 60),
)
def test_without_a_new_backup_it_only_ever_gets_later(schedule, naive, ages, minutes):
    now = naive.replace(tzinfo=timezone.utc)
    completed = [now - age * MINUTE for age in ages]

    before = judged(*completed, now=now, schedule=schedule)
    after = judged(*completed, now=now + minutes * MINUTE, schedule=schedule)

    assert before.on_time or not after.on_time
    assert after.overdue or not before.overdue
    assert after.overdue_by >= before.overdue_by
    assert judged(*completed, now, now=now, schedule=schedule).on_time
