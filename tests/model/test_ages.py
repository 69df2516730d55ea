"""Times as people say them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from backstop.model.ages import clock_time, in_short

NOW = datetime(2026, 11, 26, 14, 32, 7, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (0.46, "0.4 s"),
        (2, "2 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (172799, "47 h"),
        (172800, "2 d"),
        (400 * 86400, "400 d"),
    ],
)
def test_a_duration_is_said_in_one_unit_and_never_longer_than_it_is(seconds, said):
    assert in_short(timedelta(seconds=seconds)) == said


def test_a_moment_of_another_day_has_its_date():
    assert clock_time(NOW, now=NOW + timedelta(hours=9)) == "14:32:07Z"
    assert clock_time(NOW, now=NOW + timedelta(hours=10)) == "2026-11-26 14:32:07Z"
