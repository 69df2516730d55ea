"""How much would be lost, bounded from what the server was seen to have written and a repository has."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstop.commands.wal.watch import BACKLOG_BYTES, Lag
from backstop.commands.watch.following import Written
from backstop.commands.watch.loss import Loss, aged, earlier_position, judge_loss, loss_of, since
from backstop.commands.watch.slot import UNBOUNDED, judge_slot
from backstop.model.finding import Finding, Level
from backstop.model.lsn import Lsn
from backstop.model.observation import Observation, SlotSeen, WalSeen
from backstop.model.timeline import TimelineSpan

NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)
OBJECTIVE = timedelta(minutes=5)
MIB = 1024**2


def written(*ago_and_position: tuple[float, int]) -> list[Written]:
    return [Written(NOW - ago * SECOND, Lsn(position)) for ago, position in ago_and_position]


def lag(position: int, *, behind: int = 0, age: float | None = 0.0, reaches: bool = True) -> Lag:
    return Lag(Lsn(position), behind, None if age is None else age * SECOND, reaches)


def test_a_repository_that_has_where_the_server_is_loses_nothing():
    assert loss_of(lag(100), written((4, 50), (0, 100))) == Loss(timedelta(0))


def test_one_that_has_where_it_was_loses_what_came_since():
    assert loss_of(lag(60), written((300, 10), (4, 50), (0, 100))) == Loss(4 * SECOND)


def test_one_that_lacks_what_was_written_before_the_last_watch_loses_more_than_since_then():
    assert loss_of(lag(5, behind=95, age=400.0), written((300, 10), (0, 100))) == Loss(
        400 * SECOND, at_least=300 * SECOND
    )


def test_one_that_catches_up_is_bounded_from_below_alone():
    assert loss_of(lag(5, behind=BACKLOG_BYTES, age=1.0), written((300, 10), (0, 100))) == Loss(
        None, at_least=300 * SECOND
    )


def test_one_that_the_slot_has_left_behind_has_nothing_for_certain():
    assert loss_of(lag(100, age=70.0, reaches=False), written((4, 50), (0, 100))) == Loss(
        70 * SECOND, at_least=4 * SECOND
    )


@given(
    commits=st.lists(st.integers(1, 1000), min_size=1, max_size=20, unique=True),
    asked=st.lists(st.integers(0, 1000), min_size=1, max_size=5),
    stored=st.integers(0, 20),
)
def test_what_is_said_to_be_lost_at_most_is_never_too_little(
    commits: list[int], asked: list[int], stored: int
):
    """Commits at seconds of a clock, each a byte of WAL; the server is asked at others; so much is stored."""
    commits = sorted(commits)
    seen = [
        Written(NOW + second * SECOND, Lsn(sum(1 for at in commits if at <= second)))
        for second in sorted(asked)
    ]
    now = seen[-1].at
    happened = [at for at in commits if NOW + at * SECOND <= now]
    lost = happened[stored:]
    truth = now - (NOW + lost[0] * SECOND) if lost else timedelta(0)
    age = now - (NOW + happened[: stored or 1][-1] * SECOND) if happened else timedelta(0)

    loss = loss_of(Lag(Lsn(stored), max(0, len(happened) - stored), age), seen)

    assert loss.at_most is not None
    assert loss.at_most >= truth or not stored
    assert loss.at_least <= max(truth, loss.at_most)


SPANS = (TimelineSpan(1, Lsn(0), Lsn(1000)), TimelineSpan(2, Lsn(1000), None))


def observed(timeline: int, position: int, **losses: timedelta | None) -> Observation:
    wal = WalSeen(timeline=timeline, server_position=str(Lsn(position)), observed_rpo=dict(losses))
    return Observation("calibrify", NOW, 0.1, wal=wal)


@pytest.mark.parametrize(
    ("timeline", "position", "counts"), [(1, 900, True), (1, 1001, False), (2, 5000, True), (3, 900, False)]
)
def test_a_position_that_the_server_has_left_by_a_failover_says_nothing(
    timeline: int, position: int, counts: bool
):
    assert bool(earlier_position(observed(timeline, position), SPANS)) is counts


def test_what_was_known_before_gets_older_and_what_was_not_stays_unknown():
    before = observed(1, 900, local=2 * SECOND, new=None)

    assert since(before, "local", NOW + 60 * SECOND) == 62 * SECOND
    assert since(before, "new", NOW + 60 * SECOND) is None
    assert since(before, "other", NOW + 60 * SECOND) is None
    assert since(None, "local", NOW) is None
    assert aged(before, NOW + 60 * SECOND) == WalSeen(timeline=1, observed_rpo={"local": 62 * SECOND})
    assert aged(observed(1, 900, new=None), NOW) is None
    assert aged(None, NOW) is None


@pytest.mark.parametrize(
    ("loss", "level"),
    [
        (Loss(timedelta(0)), None),
        (Loss(OBJECTIVE / 2), None),
        (Loss(OBJECTIVE / 2 + SECOND), Level.WARNING),
        (Loss(OBJECTIVE), Level.WARNING),
        (Loss(OBJECTIVE + SECOND), Level.CRITICAL),
        (Loss(None), Level.WARNING),
        (Loss(None, at_least=OBJECTIVE + SECOND), Level.CRITICAL),
    ],
)
def test_beyond_the_objective_is_critical_and_beyond_half_of_it_a_warning(loss: Loss, level: Level | None):
    finding = judge_loss(lag(5, behind=95), loss, target="calibrify", repository="s3", objective=OBJECTIVE)
    without = judge_loss(lag(5, behind=95), loss, target="calibrify", repository="s3", objective=None)

    assert (finding.level if finding else None) is level
    assert without is None


def slot(*, last_words: str = "", **changes: object) -> tuple[Finding, ...]:
    given: dict[str, object] = {"name": "s", "state": "active", "retained_bytes": 0, "limit_bytes": 100 * MIB}
    seen = SlotSeen(**{**given, **changes})  # type: ignore[arg-type]
    return judge_slot(seen, target="calibrify", location="db", slot_share=0.5, last_words=lambda: last_words)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        ({"retained_bytes": 50 * MIB}, {}),
        ({"retained_bytes": 51 * MIB}, {"slot s": Level.WARNING}),
        ({"retained_bytes": 76 * MIB}, {"slot s": Level.CRITICAL}),
        ({"state": "inactive"}, {}),
        ({"state": "inactive", "retained_bytes": 1}, {"slot s": Level.WARNING}),
        ({"state": "inactive", "retained_bytes": 76 * MIB}, {"slot s": Level.CRITICAL}),
        ({"limit_bytes": None, "retained_bytes": 10**12}, {UNBOUNDED: Level.WARNING}),
        ({"state": "missing", "retained_bytes": None, "limit_bytes": None}, {"slot s": Level.CRITICAL}),
        ({"state": "lost", "retained_bytes": None}, {"slot s": Level.CRITICAL}),
    ],
)
def test_a_slot_is_judged_by_its_state_and_by_what_it_may_keep(
    changes: dict[str, object], expected: dict[str, Level]
):
    assert {one.subject: one.level for one in slot(**changes)} == expected


def test_a_slot_that_nobody_receives_from_has_what_the_receiver_said_last():
    (without,) = slot(state="inactive", retained_bytes=1)
    (found,) = slot(state="inactive", retained_bytes=1, last_words="the repository has format 2")

    assert "said last" not in without.sentence
    assert found.sentence.endswith("; what received from it said last: the repository has format 2")
    assert slot(last_words="an error of yesterday") == ()
