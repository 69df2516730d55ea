"""Dates that a forged document puts at the end of time: nothing that is computed from them falls over."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from backstop.errors import IntegrityError
from backstop.model.backup import BackupLabel
from backstop.model.reencryption import finished_after, free_label
from backstop.model.retention_forecast import Stored, forecast_leaving
from backstop.model.retention_policy import RetentionPolicy

NOW = datetime(2026, 11, 26, 14, 0, tzinfo=timezone.utc)
DAY = timedelta(days=1)
END = datetime.max.replace(tzinfo=timezone.utc)
LABEL = BackupLabel("99991231T235959Z-dump")


@pytest.mark.parametrize(
    "rule",
    [{"keep_for": 30 * DAY}, {"keep_last": 3}, {"daily": 7}, {"weekly": 4}, {"monthly": 12}, {"yearly": 3}],
    ids=lambda rule: next(iter(rule)),
)
def test_a_backup_that_ended_there_goes_at_no_time_that_is_known(rule):
    stored = [Stored("20261125T010000Z-dump", NOW - DAY, True), Stored(LABEL.text, END, True)]

    leaving = forecast_leaving(stored, policy=RetentionPolicy(**rule), now=NOW)

    assert [one.label for one in leaving] == [one.label for one in stored]
    assert leaving[-1].not_before is None


def test_a_successor_of_one_that_ended_there_ends_there_too():
    assert finished_after(END) == END
    assert finished_after(NOW) == NOW + timedelta(microseconds=1)


def test_one_that_began_there_has_no_label_after_it():
    with pytest.raises(IntegrityError, match="says that it began at the end of time"):
        free_label(LABEL, lambda label: False)
