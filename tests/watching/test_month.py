"""A month of ordinary noise alarms nobody, and no fault planted in it goes unseen."""

from datetime import timedelta

import pytest

from tests.watching.nights import BEGIN, DAY, KINDS, History
from tests.watching.watch import Found, judge_size, watch

NAMES = [kind.name for kind in KINDS]
NIGHTLY = [kind for kind in KINDS if kind.schedule.endswith("* * *") and kind.name != "hourly"]
STEADY = [kind for kind in KINDS if kind.noise < 0.1]
"""Where 40 % of the size is not what half of the nights are like."""
MONTH = 31
HOUR = timedelta(hours=1)
WRONG_CLOCK = {9: -2 * HOUR, 12: 15 * timedelta(minutes=1), 17: -3 * DAY, 23: -400 * DAY}
"""How far the clock of the watch is off, by day."""


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_a_month_of_noise_alarms_nobody(kind):
    history = History.live(kind, days=MONTH, seed=2026)

    found = watch(history, days=5 if kind.name == "hourly" else MONTH)

    assert found.criticals == []
    assert found.off_time == []
    # A warning a month at most, and none but where every second night is a third larger or smaller.
    assert len(found.sizes) <= (kind not in STEADY)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_a_year_of_noise_alarms_nobody(kind, seed):
    days = 120 if kind.name == "hourly" else 365
    history = History.live(kind, days=days, seed=seed)

    found = watch(history, days=days)

    # One that takes twice as long as usual is told of while it runs; that is no noise.
    too_long = [one for one in history.backups if one.ended - one.due > max(1.9 * kind.duration, HOUR)]
    assert all(any(one.due < moment < one.ended for one in too_long) for moment in found.criticals)
    assert len(found.criticals) <= 2
    # A slow night with a retry on top takes more than twice as long as usual, but not an hour too long.
    assert len(found.off_time) <= 12
    # As in the month: one a month where sizes are all over the place.
    assert len(found.sizes) <= (0 if kind in STEADY else 12)
    assert found.within >= 0.7 * found.restores


@pytest.mark.parametrize("kind", NIGHTLY, ids=[kind.name for kind in NIGHTLY])
def test_clocks_that_jump_alarm_nobody(kind):
    history = History.live(kind, days=MONTH, seed=7)

    assert watch(history, days=MONTH, clock=WRONG_CLOCK, every=HOUR).criticals == []


@pytest.mark.parametrize("missed", [0, 3, 12, 20])
@pytest.mark.parametrize("kind", NIGHTLY, ids=[kind.name for kind in NIGHTLY])
def test_a_backup_that_never_ran_is_found_until_the_next_one_is_there(kind, missed):
    whole = History.live(kind, days=MONTH, seed=missed)
    due, following = whole.backups[missed].due, whole.backups[missed + 1].ended

    found = watch(whole.without(missed), days=missed + 3, first_day=missed)

    told_within = timedelta(hours=4) if missed == 0 else HOUR
    assert found.criticals[0] - due <= told_within + timedelta(minutes=30)
    assert found.criticals[-1] < following
    assert len(found.criticals) == len(list(_quarters(found.criticals[0], following)))


def test_a_job_that_is_paused_stays_found():
    whole = History.live(KINDS[0], days=MONTH, seed=4)

    found = watch(whole.without(*range(10, MONTH)), days=MONTH, every=HOUR)

    assert len(found.criticals) == len(list(_quarters(found.criticals[0], BEGIN + MONTH * DAY))) / 4


def test_a_missing_hourly_one_is_found_although_the_next_follows_soon():
    whole = History.live(KINDS[NAMES.index("hourly")], days=3, seed=4)

    found = watch(whole.without(30, 31), days=3)

    assert found.criticals
    assert all(whole.backups[30].due < moment < whole.backups[32].ended for moment in found.criticals)


@pytest.mark.parametrize("kind", STEADY, ids=[kind.name for kind in STEADY])
def test_forty_percent_of_the_size_is_found_on_any_day(kind):
    days = 120 if kind.name == "full" else MONTH
    history = History.live(kind, days=days, seed=11)

    for number in range(5, min(len(history.backups), 60)):
        found = Found()
        judge_size(history.resized(number, 0.4), number, found)

        assert found.sizes == [history.backups[number].due]


@pytest.mark.parametrize("kind", NIGHTLY, ids=[kind.name for kind in NIGHTLY])
def test_restores_take_as_long_as_forecast_eight_times_of_ten_and_more(kind):
    found = watch(History.live(kind, days=130, seed=5), days=130, every=DAY)

    assert found.restores > 100
    assert 0.8 <= found.within / found.restores <= 0.97


def _quarters(begin, end):
    while begin < end:
        yield begin
        begin += timedelta(minutes=15)
