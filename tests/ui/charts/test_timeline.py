"""The timeline: to scale, in time order, and with every gap to be seen."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from backstop.commands.recoverability.backups import StoredBackup
from backstop.model.observation import WindowSeen
from backstop.ui.charts.timeline import draw_timeline

NOW = datetime(2026, 11, 26, 14, 32, 7, tzinfo=timezone.utc)
BEGIN = NOW - timedelta(days=30)
HOUR = timedelta(hours=1)


def window(
    begins_hours_ago: float,
    ends_hours_ago: float,
    *,
    timeline: int = 1,
    newest: bool = False,
    because: str = "",
) -> WindowSeen:
    return WindowSeen(
        "local", timeline, NOW - begins_hours_ago * HOUR, NOW - ends_hours_ago * HOUR, "0/28", "0/99",
        newest=newest, ends_because=because,
    )  # fmt: skip


def backup(days_ago: float, *, status: str = "proven", suffix: str = "dump") -> StoredBackup:
    at = NOW - timedelta(days=days_ago)
    return StoredBackup(f"{at:%Y%m%dT%H%M%SZ}-{suffix}", "local", at, at, 10, 40, status, None, None)


def draw(windows=(), backups=(), **options):
    return draw_timeline(windows, backups, begins_at=BEGIN, now=NOW, **options)


@st.composite
def rows_of_windows(drawn):
    """Windows that do not overlap, some of them a second apart."""
    windows, hours = [], drawn(st.floats(1, 1000))
    for _ in range(drawn(st.integers(1, 12))):
        length = drawn(st.sampled_from((0.0, 0.001, 3.0, 100.0)))
        windows.append(window(hours, hours - length))
        hours -= length + drawn(st.sampled_from((1 / 3600, 0.5, 40.0)))
    return [one for one in windows if one.ends_at <= NOW]


def test_half_the_time_is_half_the_width():
    (lane,) = draw([window(360, 180)]).lanes
    scale = draw().scale

    assert lane.bars[0].left == (scale.left + scale.right) / 2
    assert lane.bars[0].right == scale.left + (scale.right - scale.left) * 0.75


@given(rows_of_windows())
def test_windows_lie_in_time_order_and_a_pixel_apart_however_narrow_the_gap(windows):
    drawing = draw(windows)

    for lane in drawing.lanes:
        for bar in lane.bars:
            assert drawing.scale.left <= bar.left < bar.right <= drawing.scale.right
            assert bar.width >= 1
        for earlier, later in pairwise(lane.bars):
            assert earlier.ends_at <= later.begins_at
            assert later.left - earlier.right >= 1
        assert [gap.left for gap in lane.gaps[: len(lane.bars) - 1]] == [bar.right for bar in lane.bars[:-1]]
        assert all(gap.width >= 1 for gap in lane.gaps)


def test_a_gap_says_from_when_to_when_and_why():
    (lane,) = draw([window(200, 100, because="segment 7 is missing"), window(80, 0, newest=True)]).lanes

    (gap,) = lane.gaps
    assert gap.title == (
        "gap: no moment from 2026-11-22 10:32:07Z to 2026-11-23 06:32:07Z: segment 7 is missing"
    )


def test_where_nothing_leads_to_now_that_is_a_gap_too():
    (lane,) = draw([window(200, 100, because="WAL ends")]).lanes

    assert lane.gaps[-1].right == draw().scale.right
    assert lane.gaps[-1].title.startswith("gap: no moment since 2026-11-22")


def test_windows_that_overlap_have_a_lane_each_the_newest_timeline_first():
    drawing = draw([window(200, 50), window(100, 0, timeline=2, newest=True)])

    assert [lane.label for lane in drawing.lanes] == ["any moment", "timeline 1"]
    assert drawing.lanes[0].bars[0].ends_at == NOW


def test_what_is_older_than_the_drawing_is_left_out_and_what_reaches_into_it_is_cut():
    drawing = draw([window(2000, 1000), window(900, 0, newest=True)], [backup(31), backup(2)])

    lanes = {lane.label: lane for lane in drawing.lanes}
    (bar,) = lanes["any moment"].bars
    assert (bar.left, bar.begins_at) == (drawing.scale.left, BEGIN)
    assert len(lanes["dump"].marks) == 1


def test_every_state_has_a_shape_and_says_itself_in_words():
    held = backup(4)
    marks = draw(
        (), [held, backup(3, status="completed"), backup(2, status="failed")], held=frozenset({held.label})
    )

    found = [(mark.shape, mark.title.split(": ")[1].split(", finished")[0]) for mark in marks.lanes[0].marks]
    assert found == [
        ("proven", "proven, held"), ("waiting", "not proven yet"), ("failed", "verification failed"),
    ]  # fmt: skip
    assert [mark.held for mark in marks.lanes[0].marks] == [True, False, False]


def test_daily_marks_of_a_month_do_not_touch():
    drawing = draw((), [backup(days) for days in range(29, 0, -1)])

    places = [mark.at for mark in drawing.lanes[0].marks]
    assert min(b - a for a, b in pairwise(places)) > 2 * drawing.radius


def test_each_repository_and_kind_has_a_lane_of_its_own_and_lanes_do_not_overlap():
    drawing = draw(
        [window(200, 0, newest=True)],
        [backup(3), backup(2, suffix="incr"), backup(1, suffix="tree-media")],
    )

    assert [lane.label for lane in drawing.lanes] == ["any moment", "base", "dump", "tree media"]
    assert [lane.repository for lane in drawing.lanes] == ["local", "", "", ""]
    assert all(later.top >= earlier.top + earlier.height for earlier, later in pairwise(drawing.lanes))
    assert drawing.height >= drawing.lanes[-1].top + drawing.lanes[-1].height


def test_a_long_name_is_shortened_for_the_drawing_alone():
    (lane,) = draw((), [backup(1, suffix="tree-" + "m" * 40)]).lanes

    assert len(lane.short_label) == 18
    assert lane.label == "tree " + "m" * 40


def test_nothing_at_all_is_an_empty_drawing():
    assert draw().lanes == ()
