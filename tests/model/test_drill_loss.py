"""What would have been lost at a past moment, as WAL was stored by then."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from backstop.model.drill_loss import (
    Reached,
    StoredPart,
    loss_by_storage,
    loss_by_watch,
    reached_by,
)
from backstop.model.lsn import Lsn

SEGMENT = 16 * 1024 * 1024
NOON = datetime(2026, 11, 26, 12, tzinfo=timezone.utc)
RPO = timedelta(minutes=5)


def after(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def whole(number: int, *, stored_at: datetime) -> StoredPart:
    return StoredPart(Lsn(number * SEGMENT), Lsn((number + 1) * SEGMENT), stored_at)


def reached(parts: list[StoredPart], *, moment: datetime = NOON) -> Reached:
    return reached_by(moment, parts, start=Lsn(SEGMENT), base_at=after(-60))


def loss(parts: list[StoredPart], *, end: int | None, rpo: timedelta | None = RPO):
    return loss_by_storage(
        NOON, reached(parts), end=None if end is None else Lsn(end), segment_bytes=SEGMENT, rpo=rpo
    )


def test_what_was_stored_later_does_not_count() -> None:
    found = reached([whole(1, stored_at=after(-9)), whole(2, stored_at=after(1))])

    assert found == Reached(Lsn(2 * SEGMENT), after(-9))


def test_pieces_of_a_growing_segment_count() -> None:
    piece = StoredPart(Lsn(2 * SEGMENT), Lsn(2 * SEGMENT + 4096), after(-1))

    assert reached([whole(1, stored_at=after(-9)), piece]) == Reached(Lsn(2 * SEGMENT + 4096), after(-1))


def test_nothing_behind_a_gap_counts() -> None:
    assert reached([whole(1, stored_at=after(-9)), whole(3, stored_at=after(-5))]).lsn == Lsn(2 * SEGMENT)


def test_without_any_wal_it_is_what_the_base_backup_has() -> None:
    assert reached([]) == Reached(Lsn(SEGMENT), after(-60))


@given(
    st.lists(st.tuples(st.integers(1, 8), st.integers(-100, 100)), max_size=12),
    st.integers(-100, 100),
    st.integers(0, 50),
)
def test_a_later_moment_never_has_less(parts: list[tuple[int, int]], moment: int, later: int) -> None:
    stored = [whole(number, stored_at=after(minutes)) for number, minutes in parts]

    assert reached(stored, moment=after(moment)).lsn <= reached(stored, moment=after(moment + later)).lsn


def test_nothing_is_lost_when_all_that_was_committed_had_been_stored() -> None:
    found = loss([whole(1, stored_at=after(-30))], end=2 * SEGMENT)

    assert found.duration == timedelta(0)
    assert "had been stored" in found.says


def test_full_segments_that_were_not_stored_are_a_loss_for_certain() -> None:
    late = [whole(1, stored_at=after(-30)), whole(2, stored_at=after(5)), whole(3, stored_at=after(6))]

    found = loss(late, end=4 * SEGMENT)

    assert found.duration == timedelta(minutes=30)
    assert "that had been full" in found.says


def test_a_growing_segment_bounds_the_loss_where_the_bound_is_close() -> None:
    found = loss([whole(1, stored_at=after(-3)), whole(2, stored_at=after(5))], end=2 * SEGMENT + 9)

    assert found.duration == timedelta(minutes=3)
    assert found.says.startswith("at most")


def test_a_bound_too_wide_to_judge_by_is_no_loss_and_says_so() -> None:
    found = loss([whole(1, stored_at=after(-30)), whole(2, stored_at=after(5))], end=2 * SEGMENT + 9)

    assert found.duration is None
    assert "at most 30 min" in found.says


def test_without_an_objective_a_bound_is_told_however_wide() -> None:
    assert loss([whole(1, stored_at=after(-30))], end=None, rpo=None).duration == timedelta(minutes=30)


def test_a_watch_right_before_or_after_is_believed_and_the_worse_counts() -> None:
    samples = [
        (after(-9), timedelta(0)), (after(-4), timedelta(seconds=2)), (after(1), timedelta(seconds=40)),
        (after(6), timedelta(hours=3)),
    ]  # fmt: skip

    found = loss_by_watch(NOON, samples)

    assert found is not None
    assert found.duration == timedelta(seconds=40)
    assert "12:01:00Z" in found.says


def test_watches_far_away_or_that_could_not_tell_are_not_believed() -> None:
    far = [(after(-11), timedelta(0)), (after(10.5), timedelta(0))]

    assert loss_by_watch(NOON, [*far, (after(-1), None)]) is None
