"""What people write as a recovery target, and what PostgreSQL is told."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstop.errors import ConfigurationError
from backstop.model.lsn import Lsn
from backstop.model.recovery_target import RecoveryTarget, TargetKind, parse_target_time, parse_timeline

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-23T12:00:00Z", NOON),
        ("2026-11-23 12:00:00+00", NOON),
        ("2026-11-23 13:00:00.25 +01:00", NOON + timedelta(seconds=0.25)),
        ("2026-11-23T06:30:00-0530", NOON),
        ("time:2026-11-23 12:00 UTC", NOON),
    ],
)
def test_a_time_is_read_with_its_offset(text, moment):
    target = RecoveryTarget.parse(text)

    assert (target.kind, target.time) == (TargetKind.TIME, moment)


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ConfigurationError, match=r"has no zone — add Z for UTC"):
        RecoveryTarget.parse("2026-11-23 12:00:00")


@pytest.mark.parametrize(
    "text",
    ["2026-11-23", "2026-13-23T12:00:00Z", "2026-11-23T25:00Z", "2026-11-23T12:00:00+99:00", "time:noon"],
)
def test_what_is_no_time_is_refused_with_an_example(text):
    with pytest.raises(ConfigurationError, match=r"is not a time.* — write it as 2026-11-23T12:00:00\+01:00"):
        RecoveryTarget.parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("latest", RecoveryTarget(TargetKind.LATEST)),
        (" Immediate ", RecoveryTarget(TargetKind.IMMEDIATE)),
        ("0/3000060", RecoveryTarget(TargetKind.LSN, lsn=Lsn.parse("0/3000060"))),
        ("LSN: 16/B374D848", RecoveryTarget(TargetKind.LSN, lsn=Lsn.parse("16/B374D848"))),
        ("name:before migration: 2", RecoveryTarget(TargetKind.NAME, name="before migration: 2")),
        ("xid:4711", RecoveryTarget(TargetKind.XID, xid=4711)),
    ],
)
def test_every_form_of_a_target_is_read(text, expected):
    assert RecoveryTarget.parse(text) == expected
    assert RecoveryTarget.parse(str(expected)) == expected


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.timezones()))  # noqa: DTZ001
def test_a_time_survives_being_written_and_read(moment):
    target = RecoveryTarget(TargetKind.TIME, time=moment)

    assert parse_target_time(str(target).partition(":")[2]) == moment.astimezone(timezone.utc)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "is not a recovery target — say one of: latest, immediate"),
        ("yesterday", "is not a recovery target"),
        ("4711", "is not a recovery target"),
        ("lsn:3000060", r"is not an LSN.*pg_current_wal_lsn"),
        ("0/123456789", "is not an LSN"),
        ("xid:2", "is not a transaction id"),
        ("xid:-5", "is not a transaction id"),
        ("xid:18446744073709551616", "is not a transaction id"),
        ("name:", "is not the name of a restore point"),
        ("name:" + "ä" * 32, "they have 1 to 63 bytes"),
        ("name:a\nb", "is not the name of a restore point"),
    ],
)
def test_what_is_no_target_is_refused_and_the_next_step_named(text, what):
    with pytest.raises(ConfigurationError, match=what):
        RecoveryTarget.parse(text)


@pytest.mark.parametrize(
    ("text", "timeline"), [("latest", "latest"), ("Current", "current"), ("3", 3), ("0x1F", 31), (7, 7)]
)
def test_a_timeline_is_a_number_or_one_of_two_words(text, timeline):
    assert parse_timeline(text) == timeline
    assert RecoveryTarget.parse("latest", timeline=text).timeline == timeline


@pytest.mark.parametrize("text", ["0", "newest", "-1", "4294967296", "1F"])
def test_what_is_no_timeline_is_refused(text):
    with pytest.raises(ConfigurationError, match="is not a timeline — say latest, current, or its number"):
        parse_timeline(text)


def test_messages_name_the_timeline_and_base_that_a_target_insists_on():
    assert RecoveryTarget.parse("latest").described == "latest"
    assert (
        RecoveryTarget.parse("0/1", timeline=2, base="b").described
        == "lsn:0/1 on timeline 2 from base backup b"
    )


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("latest", {}),
        ("immediate", {"recovery_target": "immediate"}),
        (
            "2026-11-23T13:00:00.5+01:00",
            {
                "recovery_target_time": "2026-11-23 12:00:00.500000+00",
                "recovery_target_inclusive": "off",
            },
        ),
        ("0/3000060", {"recovery_target_lsn": "0/3000060", "recovery_target_inclusive": "off"}),
        ("xid:4711", {"recovery_target_xid": "4711", "recovery_target_inclusive": "off"}),
        ("name:a:b", {"recovery_target_name": "a:b"}),
    ],
)
def test_the_server_is_told_the_target_and_the_number_of_the_timeline(text, settings):
    target = RecoveryTarget.parse(text, inclusive=False)

    assert target.settings(3) == {"recovery_target_timeline": "3", **settings}


def test_what_lies_at_the_target_is_applied_unless_said_otherwise():
    assert RecoveryTarget.parse("0/3000060").settings(1)["recovery_target_inclusive"] == "on"
