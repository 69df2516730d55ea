from __future__ import annotations

from datetime import timedelta

from backstop.model.announcement import announcements
from backstop.model.finding import EVERY_TARGET, Finding, Level
from backstop.model.finding_state import News, Rhythm, missed, seen
from tests.model.test_finding_state import START, WATCH, finding


def states(count: int, level: Level = Level.CRITICAL, target: str = "system"):
    return [
        seen(None, Finding(f"{target}-{n:02}", "completed", "dump", level, f"no dump {n}", "look"), START)
        for n in range(count)
    ]


def test_few_findings_are_a_message_each_that_names_the_next_step_and_where_to_read_on():
    (one,) = announcements([(News.OPENED, seen(None, finding(), START))], fold_above=5)

    assert one.subject == "[critical] calibrify: the slot is lost"
    assert one.message.splitlines() == [
        "[critical] calibrify: the slot is lost",
        "Since 2026-11-23 01:00 UTC.",
        "Next: see the server",
        "See docs/monitoring.md#slot",
    ]


def test_a_storm_is_one_message_a_level_that_counts_and_names_the_worst_few():
    news = [(News.OPENED, one) for one in [*states(3, Level.WARNING, "other"), *states(40)]]
    critical, warning = announcements(news, fold_above=5)

    assert critical.subject == "[critical] 40 findings of 40 targets"
    assert critical.message.count("\n- system-") == 5
    assert "and 35 more" in critical.message
    assert (warning.level, len(warning.states)) == (Level.WARNING, 3)
    assert "more" not in warning.message


def test_what_is_over_is_not_mixed_with_what_has_begun():
    over = [missed(missed(one, START, Rhythm()), START + 2 * WATCH, Rhythm()) for one in states(4)]
    news = [(News.ENDED, one) for one in over] + [(News.REPEATED, one) for one in states(4)]
    still, ended = announcements(news, fold_above=5)

    assert still.subject == "[still critical] 4 findings of 4 targets"
    assert ended.subject == "[over: critical] 4 findings of 4 targets are over"


def test_an_end_says_from_when_to_when_and_asks_for_nothing():
    state = missed(seen(None, finding(), START), START + WATCH, Rhythm())
    closed = missed(state, START + WATCH + timedelta(minutes=10), Rhythm())
    (one,) = announcements([(News.ENDED, closed)], fold_above=5)

    assert one.message.splitlines() == [
        "[over: critical] calibrify: the slot is lost",
        "From 2026-11-23 01:00 to 2026-11-23 01:05 UTC.",
    ]


def test_a_finding_about_no_single_target_names_none():
    state = seen(None, Finding(EVERY_TARGET, "run", "watch_backups", Level.CRITICAL, "it failed", "x"), START)
    (one,) = announcements([(News.OPENED, state)], fold_above=5)

    assert one.subject == "[critical] it failed"


def test_how_often_it_came_and_went_is_said():
    state = seen(missed(seen(None, finding(), START), START, Rhythm()), finding(), START)
    (one,) = announcements([(News.OPENED, state)], fold_above=5)

    assert "came and went 1 times" in one.message
