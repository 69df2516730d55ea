"""Names of the old scripts' files say when they were made, in the time of their host."""

from __future__ import annotations

from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import pytest

from backstop.model.legacy import LegacyNames

UTC = ZoneInfo("UTC")
BERLIN = ZoneInfo("Europe/Berlin")
DUMPS = "full_%Y%m%d_%H%M%S.sql.gz"


def utc(*fields: int) -> datetime:
    return datetime(*fields, tzinfo=timezone.utc)


def test_a_name_is_read_in_the_time_of_its_host():
    name = "full_20231201_010000.sql.gz"

    assert LegacyNames(DUMPS, UTC).times(name) == (utc(2023, 12, 1, 1), utc(2023, 12, 1, 1))
    assert LegacyNames(DUMPS, BERLIN).times(name) == (utc(2023, 12, 1, 0), utc(2023, 12, 1, 0))


@pytest.mark.parametrize(
    "name",
    [
        "full_20231201_010000.sql.gz.part",
        "Full_20231201_010000.sql.gz",
        "full_20231201_010000 (copy).sql.gz",
        "full_20231301_010000.sql.gz",
        "full_20230229_010000.sql.gz",
        "full_20231201_250000.sql.gz",
        "full_2023121_010000.sql.gz",
        "full_20231201_010000.sql.gz\n",
        "full_٢٠٢٣١٢٠١_010000.sql.gz",
        "xfull_20231201_010000.sql.gz",
        "full_20231201_010000_sql_gz",
    ],
)
def test_what_does_not_have_exactly_such_a_name_is_none_of_theirs(name: str):
    assert LegacyNames(DUMPS, UTC).times(name) is None


def test_an_hour_that_came_twice_has_two_readings_and_the_later_counts():
    early, late = LegacyNames(DUMPS, BERLIN).times("full_20231029_023000.sql.gz") or ()

    assert (early, late) == (utc(2023, 10, 29, 0, 30), utc(2023, 10, 29, 1, 30))


def test_an_hour_that_clocks_have_skipped_is_read_all_the_same():
    early, late = LegacyNames(DUMPS, BERLIN).times("full_20230326_023000.sql.gz") or ()

    assert (early, late) == (utc(2023, 3, 26, 0, 30), utc(2023, 3, 26, 1, 30))


def test_times_at_the_ends_of_the_calendar_are_no_names():
    names = LegacyNames(DUMPS, ZoneInfo("Asia/Tokyo"))

    assert names.times("full_00010101_000000.sql.gz") is None
    assert names.times("full_00000101_000000.sql.gz") is None


def test_names_may_have_spaces_and_letters_that_mean_something_to_others():
    names = LegacyNames("my [nightly] 100%% dump+%Y-%m-%d.sql.gz", UTC)

    assert names.times("my [nightly] 100% dump+2023-12-01.sql.gz") == (utc(2023, 12, 1), utc(2023, 12, 1))
    assert names.beginning == "my [nightly] 100"
    assert names.times("my [nightly] 100% dump 2023-12-01.sql.gz") is None


@pytest.mark.parametrize(
    "pattern", ["full.sql.gz", "full_%Y%m.gz", "%Y%m%d%d", "%Y%m%d%y", "%Y%m%d%", "a/%Y%m%d", "%Y%m%d\\%é"]
)
def test_a_pattern_that_leaves_the_day_open_or_says_it_twice_is_refused(pattern: str):
    with pytest.raises(ValueError, match="expected a file name with %Y, %m, %d"):
        LegacyNames(pattern, UTC)
