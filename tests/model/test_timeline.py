"""History files are read as PostgreSQL reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstop.errors import IntegrityError
from backstop.model.lsn import Lsn
from backstop.model.timeline import (
    Histories,
    StoredHistory,
    TimelineHistory,
    TimelineSpan,
    TimelineSwitch,
    ancestry,
    history_name,
    parse_history,
)

WRITTEN_BY_POSTGRESQL = (
    b"1\t0/A000000\tno recovery target specified\n\n2\t1/C0000D8\tbefore 2026-11-23 01:00:00+00\n"
)


def test_a_history_names_every_ancestor_with_its_switch_point():
    history = parse_history(3, WRITTEN_BY_POSTGRESQL)

    assert history == TimelineHistory(
        3,
        (
            TimelineSwitch(1, Lsn.parse("0/A000000"), "no recovery target specified"),
            TimelineSwitch(2, Lsn.parse("1/C0000D8"), "before 2026-11-23 01:00:00+00"),
        ),
    )
    assert ancestry(history) == (
        TimelineSpan(1, Lsn(0), Lsn.parse("0/A000000")),
        TimelineSpan(2, Lsn.parse("0/A000000"), Lsn.parse("1/C0000D8")),
        TimelineSpan(3, Lsn.parse("1/C0000D8"), None),
    )


def test_comments_empty_lines_and_reasons_in_any_encoding_are_no_trouble():
    content = b"# by hand\n  \n 1 0/A000000\n2\t0/B000000\tat restore point \xff\xfe\n"

    assert [switch.timeline for switch in parse_history(4, content).switches] == [1, 2]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"one\t0/A000000\tx\n", "is not a timeline and a switch point"),
        (b"1\n", "is not a timeline and a switch point"),
        (b"1\tA000000\n", "is not a timeline and a switch point"),
        (b"2\t0/A000000\n1\t0/B000000\n", "timeline 1 is not later than the one before it"),
        (b"0\t0/A000000\n", "timeline 0 is not later than the one before it"),
        (b"4294967296\t0/A000000\n", "timeline 4294967296 is not later"),
        (b"3\t0/A000000\n", "it names timeline 3 as an ancestor"),
    ],
)
def test_what_postgresql_would_refuse_is_refused_by_name(content, what):
    with pytest.raises(IntegrityError, match=f"00000003.history cannot be read: .*{what}"):
        parse_history(3, content)


def test_an_empty_history_has_no_ancestors():
    assert ancestry(parse_history(1, b"")) == (TimelineSpan(1, Lsn(0), None),)


def test_a_recovery_along_a_timeline_that_ended_before_it_began_leaves_nothing_of_it():
    history = parse_history(3, b"1\t0/A000000\n2\t0/5000000\n")

    assert ancestry(history) == (
        TimelineSpan(1, Lsn(0), Lsn.parse("0/5000000")),
        TimelineSpan(3, Lsn.parse("0/5000000"), None),
    )


def timeline_of_point(history: TimelineHistory, point: Lsn) -> int:
    """PostgreSQL's tliOfPointInHistory: the newest entry first."""
    ends = [switch.at for switch in history.switches]
    entries = zip(
        [*(switch.timeline for switch in history.switches), history.timeline],
        [Lsn(0), *ends],
        [*ends, None],
        strict=True,
    )
    return next(
        timeline
        for timeline, begin, end in reversed(list(entries))
        if begin <= point and (end is None or point < end)
    )


@given(st.lists(st.integers(0, 50), max_size=6), st.integers(0, 60))
def test_every_position_belongs_to_the_timeline_that_postgresql_says(switches, position):
    history = TimelineHistory(
        len(switches) + 1, tuple(TimelineSwitch(number + 1, Lsn(at)) for number, at in enumerate(switches))
    )
    spans = [
        span
        for span in ancestry(history)
        if span.begin <= Lsn(position) and (span.end is None or Lsn(position) < span.end)
    ]

    assert [span.timeline for span in spans] == [timeline_of_point(history, Lsn(position))]


def test_two_different_histories_of_one_timeline_are_a_conflict_and_not_used():
    histories = Histories.read(
        [StoredHistory(2, "bb", b"1\t0/A000000\n"), StoredHistory(2, "aa", b"1\t0/B000000\n")]
    )

    assert histories.conflicts == {2: ("aa", "bb")}
    assert histories.known == {2}
    assert histories.missing_for(2) == "00000002.history is stored with different contents (aa, bb)"
    assert histories.path_to(2) == (TimelineSpan(2, Lsn(0), None),)


def test_a_damaged_history_is_named_and_not_used():
    histories = Histories.read([StoredHistory(2, "aa", b"damaged")])

    assert "'damaged' is not a timeline" in histories.missing_for(2)
    assert not histories.readable


def test_only_a_first_timeline_needs_no_history():
    histories = Histories.read([StoredHistory(3, "aa", WRITTEN_BY_POSTGRESQL)])

    assert histories.missing_for(1) == histories.missing_for(3) == ""
    assert histories.missing_for(2) == "00000002.history is missing"
    assert history_name(0x1F) == "0000001F.history"
