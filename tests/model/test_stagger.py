"""H in cron fields: one time for each target, always the same one."""

from __future__ import annotations

from collections import Counter

import pytest
from croniter import croniter
from hypothesis import given
from hypothesis import strategies as st

from backstop.model.stagger import settle

FIELD = st.sampled_from(["*", "H", "5", "H/2", "H(1-5)", "1,3", "H(1-6)/3"])


def settled(schedule: str, name: str = "calibrify", procedure: str = "database") -> str:
    return settle(schedule, name=name, procedure=procedure)


@given(fields=st.tuples(FIELD, FIELD, FIELD, FIELD, FIELD), name=st.text(min_size=1, max_size=9))
def test_whatever_is_left_open_becomes_plain_cron_and_the_same_each_time(fields, name):
    schedule = " ".join(fields)

    assert "H" not in settled(schedule, name)
    assert croniter.is_valid(settled(schedule, name))
    assert settled(schedule, name) == settled(schedule, name)


def test_what_is_written_out_stays_as_it_is():
    for schedule in ("0 1 * * *", "*/5 * * * *", "@daily", "30 4 * * THU", "0 3 * MARCH 1-6"):
        assert settled(schedule) == schedule


def test_one_target_has_a_time_for_each_procedure_and_each_target_its_own():
    names = [f"system-{number:03}" for number in range(100)]

    assert len({settled("H H * * *", name) for name in names}) > 90
    assert (
        len({settled("H H * * *", "calibrify", what) for what in ("database", "expiry", "check", "sync")})
        == 4
    )


def test_a_range_and_a_step_are_kept_to():
    for number in range(200):
        minute, hour, *_ = settled("H(10-19) H(2-4) * * *", str(number)).split()
        assert 10 <= int(minute) <= 19
        assert 2 <= int(hour) <= 4
        begin, _, rest = settled("H/15 * * * *", str(number)).split()[0].partition("-")
        assert int(begin) < 15
        assert rest == "59/15"


def test_a_hundred_targets_at_one_hour_are_spread_over_it():
    due = Counter(settled("H 1 * * *", f"system-{number:03}") for number in range(100))

    assert max(due.values()) <= 8


@pytest.mark.parametrize("part", ["H(5-70)", "H(9-3)", "H/0", "HH", "H(5)", "H-3", "Hx"])
def test_what_nobody_can_settle_is_refused(part):
    with pytest.raises(ValueError, match="expected"):
        settled(f"{part} * * * *")


def test_a_step_longer_than_its_range_happens_once():
    assert settled("H(3-5)/30 * * * *").split()[0] in {"3", "4", "5"}
