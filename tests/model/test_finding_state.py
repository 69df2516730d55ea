"""A finding is told of once, repeated sparingly, and its end is told to whoever heard of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from backstop.model.finding import Finding, Level
from backstop.model.finding_state import News, OpenFinding, Rhythm, heard, missed, news_for, seen

START = datetime(2026, 11, 23, 1, tzinfo=timezone.utc)
WATCH = timedelta(minutes=5)
RHYTHM = Rhythm()
WARNING, CRITICAL = Level.WARNING, Level.CRITICAL


def finding(level: Level = CRITICAL, sentence: str = "the slot is lost") -> Finding:
    return Finding("calibrify", "slot", "slot backstop", level, sentence, "see the server")


class Story:
    """Watches every five minutes, and one channel that is told after each of every row not settled."""

    def __init__(self, rhythm: Rhythm = RHYTHM) -> None:
        self.now = START
        self.rhythm = rhythm
        self.rows: list[OpenFinding] = []
        self.said: list[tuple[datetime, News, Level]] = []
        """When, why, of what level."""
        self.of_row: list[list[News]] = []

    def watch(self, level: Level | None, *, times: int = 1, reachable: bool = True) -> Story:
        for _ in range(times):
            is_open = bool(self.rows) and self.rows[-1].closed_at is None
            if level is not None and not is_open:
                self.rows.append(seen(None, finding(level), self.now))
                self.of_row.append([])
            elif level is not None:
                self.rows[-1] = seen(self.rows[-1], finding(level), self.now)
            elif is_open:
                self.rows[-1] = missed(self.rows[-1], self.now, self.rhythm)
            if reachable:
                self._tell()
            self.now += WATCH
        return self

    def _tell(self) -> None:
        for index, row in enumerate(self.rows):
            why = news_for("mail", row, self.now, self.rhythm)
            if why is not None:
                self.said.append((self.now, why, row.finding.level))
                self.of_row[index].append(why)
                self.rows[index] = heard(row, "mail", self.now)

    @property
    def words(self) -> list[str]:
        return [f"{why.value} {level.value}" for _, why, level in self.said]


def test_what_is_critical_is_told_at_once_and_once():
    assert Story().watch(CRITICAL, times=40).words == ["opened critical"]


def test_a_warning_is_told_once_it_has_lasted():
    assert Story().watch(WARNING, times=2).words == []
    assert Story().watch(WARNING, times=3).words == ["opened warning"]


def test_what_stays_is_repeated_as_rarely_as_was_asked_for():
    a_day = timedelta(days=1) // WATCH

    assert Story().watch(CRITICAL, times=a_day).words == ["opened critical", *["repeated critical"] * 5]
    assert Story().watch(WARNING, times=3 * a_day).words == ["opened warning", *["repeated warning"] * 2]


def test_getting_worse_is_told_at_once_and_getting_better_is_not():
    story = Story().watch(WARNING, times=4).watch(CRITICAL)
    assert story.words == ["opened warning", "escalated critical"]

    assert story.watch(WARNING, times=6).watch(CRITICAL, times=6).words == [
        "opened warning",
        "escalated critical",
    ]


def test_the_end_is_told_after_three_watches_without_it_to_whoever_heard_of_it():
    assert Story().watch(CRITICAL).watch(None, times=2).words == ["opened critical"]
    assert Story().watch(CRITICAL).watch(None, times=3).words == ["opened critical", "ended critical"]
    assert Story().watch(WARNING, times=2).watch(None, times=20).words == []


def test_what_comes_and_goes_is_one_finding_with_two_messages():
    story = Story()
    for _ in range(12):
        story.watch(CRITICAL).watch(None, times=2)
    story.watch(None, times=12)

    assert story.words == ["opened critical", "ended critical"]
    assert [row.reopenings for row in story.rows] == [11]


def test_each_return_makes_it_wait_longer_for_its_end():
    """Twice as long each time: a fault that comes back every quarter of an hour does not ring each time."""
    story = Story()
    for gap in (2, 3, 5, 11, 11, 11):
        story.watch(CRITICAL).watch(None, times=gap)

    assert story.words == ["opened critical"]
    assert story.watch(None, times=20).words[-1] == "ended critical"


def test_nothing_is_lost_when_nobody_could_be_reached():
    story = Story().watch(CRITICAL, times=3, reachable=False)
    assert story.watch(CRITICAL).words == ["opened critical"]


def test_what_was_critical_and_is_over_before_anybody_could_be_reached_is_told_all_the_same():
    story = Story().watch(CRITICAL, reachable=False).watch(None, times=2, reachable=False)

    assert story.watch(None, times=3).words == ["passed critical"]


def test_each_channel_hears_by_itself():
    state = heard(seen(None, finding(), START), "mail", START)

    assert news_for("mail", state, START + WATCH, RHYTHM) is None
    assert news_for("slack", state, START + WATCH, RHYTHM) is News.OPENED


def test_a_watch_that_came_late_changes_nothing():
    newer = seen(None, finding(sentence="newer"), START + WATCH)

    assert seen(newer, finding(sentence="older"), START) == newer
    assert missed(newer, START, RHYTHM) == newer


def test_a_clock_that_was_ahead_once_keeps_no_finding_from_changing_closing_or_being_repeated():
    ahead = START + timedelta(days=400)
    state = heard(seen(None, finding(WARNING), ahead), "mail", ahead)

    assert seen(state, finding(CRITICAL, "worse"), START).finding.sentence == "worse"
    assert news_for("mail", state, START, RHYTHM) is News.REPEATED
    gone = missed(missed(state, START, RHYTHM), START + timedelta(minutes=10), RHYTHM)
    assert gone.opened_at == START
    assert gone.closed_at == START + timedelta(minutes=10)


LEVELS = st.sampled_from([WARNING, CRITICAL, None])


STEPS = st.lists(st.tuples(LEVELS, st.booleans()), max_size=80)


@given(STEPS)
def test_every_beginning_is_told_once_before_anything_else_of_it_and_its_end_once_after_it(steps):
    story = Story()
    for level, reachable in steps:
        story.watch(level, reachable=reachable)
    story.watch(None, times=30)

    for told in story.of_row:
        assert told == [] or told == [News.PASSED] or (told[0], told[-1]) == (News.OPENED, News.ENDED)
        assert told.count(News.OPENED) <= 1
        assert told.count(News.ENDED) <= 1


@given(st.lists(LEVELS, max_size=80))
def test_a_channel_that_works_hears_of_all_that_is_critical_in_the_same_minute(levels):
    story = Story()
    for level in levels:
        story.watch(level)
        if level is CRITICAL:
            told = story.rows[-1].told["mail"]
            assert told.level is CRITICAL


@given(STEPS)
def test_a_reminder_comes_only_when_the_last_word_is_old_enough(steps):
    story = Story()
    for level, reachable in steps:
        story.watch(level, reachable=reachable)

    for before, (when, why, level) in zip(story.said, story.said[1:], strict=False):
        assert why is not News.REPEATED or when - before[0] >= RHYTHM.repeat(level)


@given(st.lists(LEVELS, max_size=60), st.integers(0, 10))
def test_a_finding_never_closes_while_it_is_found(steps, reopenings):
    state = replace(seen(None, finding(), START), reopenings=reopenings)
    now = START
    for level in steps:
        now += WATCH
        state = seen(state, finding(level), now) if level else missed(state, now, RHYTHM)
        assert state.closed_at is None or level is None
        if state.closed_at is not None:
            assert state.absent_since
            assert state.closed_at - state.absent_since >= RHYTHM.close_after
            break
