"""Figures as people read them."""

from datetime import datetime, timedelta, timezone

import pytest

from backstop.model.figures import clock_time, duration_in_words, in_short, moment_in_words, size_in_words

NOW = datetime(2026, 11, 26, 14, 32, 7, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (99_600, "100 kB"),
        (412_300_000, "412 MB"),
        (1_234_000_000, "1.2 GB"),
        (3.4e12, "3.4 TB"),
        (5.2e15, "5200.0 TB"),
    ],
)
def test_a_size_has_the_unit_that_leaves_few_digits(count, words):
    assert size_in_words(count) == words


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (timedelta(), "0.0 s"),
        (timedelta(seconds=0.34), "0.3 s"),
        (timedelta(seconds=9.97), "10 s"),
        (timedelta(seconds=59.6), "1 min"),
        (timedelta(minutes=3, seconds=5), "3 min 5 s"),
        (timedelta(hours=2, minutes=20, seconds=59), "2 h 20 min"),
        (timedelta(hours=5), "5 h"),
        (timedelta(days=3, hours=4), "3 d 4 h"),
        (timedelta(days=3, minutes=59), "3 d"),
        (-timedelta(minutes=2), "2 min"),
    ],
)
def test_a_duration_has_its_two_largest_units(duration, words):
    assert duration_in_words(duration) == words


def test_a_moment_is_said_in_utc():
    berlin = timezone(timedelta(hours=1))

    assert moment_in_words(datetime(2026, 11, 23, 2, tzinfo=berlin)) == "2026-11-23 01:00 UTC"


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
