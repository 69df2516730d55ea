"""However WAL looks, the search finds what is in it, reads little, and never says "no" for "not yet"."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backstop.commands.recovery.look import look_for_restore_point, look_for_transaction
from backstop.commands.wal.route import WalRoute
from backstop.errors import IntegrityError
from backstop.model.lsn import MEBIBYTE, Lsn
from backstop.postgres.wal_landmarks import RestorePoint, RunningTransactions, TransactionEnd

SEGMENT = MEBIBYTE


@dataclass
class Pretended:
    """A stretch of WAL with these landmarks."""

    landmarks: list
    segments: int
    begins: int = 1
    fetched_bytes: int = 0
    together: int = 2
    readable: bool = True
    problem: IntegrityError | None = None
    damaged: frozenset[int] = frozenset()
    read_segments: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.first, self.last = self.begins, self.begins + self.segments - 1
        self.route = WalRoute.on_one_timeline(
            1, Lsn(self.begins * SEGMENT), Lsn((self.last + 1) * SEGMENT), segment_bytes=SEGMENT
        )
        self.words = f"{self.first} to {self.last}"

    def read(self, first: int, last: int, managers) -> list:
        self.read_segments += range(first, last + 1)
        self.fetched_bytes += (last + 1 - first) * SEGMENT
        if self.damaged & set(range(first, last + 1)):
            self.readable, self.problem = False, IntegrityError("damaged")
            return []
        kinds = {"XLOG": RestorePoint, "Transaction": TransactionEnd, "Standby": RunningTransactions}
        wanted = tuple(kinds[manager] for manager in managers)
        return [
            one
            for one in self.landmarks
            if isinstance(one, wanted) and first <= one.lsn.position // SEGMENT <= last
        ]


@st.composite
def histories(draw):
    """Transactions that begin in order and end whenever they like, and notes of the server about them."""
    start = draw(st.sampled_from([700, (1 << 32) - 5]))
    segments = draw(st.integers(1, 40))
    running, landmarks, next_xid = [], [], start
    events = draw(st.lists(st.sampled_from("bbeeen"), min_size=segments, max_size=120))
    for number, event in enumerate(events):
        lsn = Lsn((1 + number * segments // len(events)) * SEGMENT + number * 64)
        if event == "b":
            running.append(next_xid)
            next_xid = next_xid + 1 if next_xid + 1 < 1 << 32 else 3
        elif event == "e" and running:
            xid = running.pop(draw(st.integers(0, len(running) - 1)))
            landmarks.append(TransactionEnd(lsn, xid, draw(st.booleans()), frozenset()))
        elif event == "n":
            landmarks.append(RunningTransactions(lsn, next_xid, running[0] if running else next_xid))
    return landmarks, segments, [*running, next_xid]


@settings(max_examples=300, deadline=None)
@given(histories(), st.data())
def test_every_transaction_that_ended_is_found_and_no_other(history, data) -> None:
    landmarks, segments, unended = history
    ends = {one.xid: one.lsn for one in landmarks if isinstance(one, TransactionEnd)}
    wanted = data.draw(st.sampled_from([*ends, *unended]))

    look = look_for_transaction(wanted, [Pretended(landmarks, segments)])

    assert (look.found.lsn if look.found else None) == ends.get(wanted)
    assert look.complete
    if not look.found:
        committed = {one.xid for one in landmarks if isinstance(one, TransactionEnd) and one.committed}
        assert {int(other.target[4:]) for other in look.others} <= committed


def test_a_transaction_is_found_among_many_segments_by_reading_few() -> None:
    landmarks = []
    for number in range(1, 2001):
        landmarks.append(TransactionEnd(Lsn(number * SEGMENT + 8), 1000 + number, True, frozenset()))
        landmarks.append(RunningTransactions(Lsn(number * SEGMENT + 16), 1001 + number, 1001 + number))
    stretch = Pretended(landmarks, 2000)

    look = look_for_transaction(1500, [stretch])

    assert look.found is not None
    assert look.found.lsn == Lsn(500 * SEGMENT + 8)
    assert len(stretch.read_segments) < 50


def test_a_part_of_a_transaction_is_no_target_and_the_whole_is_named() -> None:
    whole = TransactionEnd(Lsn(SEGMENT + 8), 700, True, frozenset({701, 702}))

    look = look_for_transaction(702, [Pretended([whole], 3)])

    assert look.found is None
    assert look.complete
    assert look.others[0].target == "xid:700"
    assert "part of transaction 700" in look.says


def test_an_id_with_its_upper_half_is_the_same_transaction() -> None:
    end = TransactionEnd(Lsn(SEGMENT + 8), 700, False, frozenset())

    look = look_for_transaction((3 << 32) + 700, [Pretended([end], 3)])

    assert look.found is not None
    assert look.found.target == f"xid:{(3 << 32) + 700}"
    assert "rolled back" in look.says


def test_the_newest_restore_point_of_a_name_is_found_and_nothing_older_is_read() -> None:
    points = [RestorePoint(Lsn(number * SEGMENT + 8), "again") for number in (2, 30, 38)]
    stretch = Pretended(points, 40)

    look = look_for_restore_point("again", [stretch])

    assert look.found is not None
    assert look.found.lsn == points[-1].lsn
    assert min(stretch.read_segments) > 30


def test_a_name_that_is_nowhere_is_looked_for_in_everything_and_the_others_are_named() -> None:
    newer = Pretended([RestorePoint(Lsn(50 * SEGMENT), "before_deploy")], 10, begins=50)
    older = Pretended([RestorePoint(Lsn(3 * SEGMENT), "x")], 10)

    look = look_for_restore_point("before_deplo", [newer, older])

    assert look.found is None
    assert look.complete
    assert [other.target for other in look.others] == ["name:before_deploy", "name:x"]
    assert "there are before_deploy, x" in look.says
    assert sorted(older.read_segments) == list(range(1, 11))


def test_a_search_that_has_read_its_share_does_not_say_that_there_is_none() -> None:
    stretch = Pretended([RestorePoint(Lsn(SEGMENT), "before")], 100)

    look = look_for_restore_point("before", [stretch], most_bytes=10 * SEGMENT)

    assert look.found is None
    assert not look.complete
    assert len(stretch.read_segments) == 10


def test_a_damaged_segment_matters_only_when_the_search_is_in_vain() -> None:
    point = RestorePoint(Lsn(2 * SEGMENT), "before")

    assert look_for_restore_point("before", [Pretended([point], 9, damaged=frozenset({8}))]).found
    with pytest.raises(IntegrityError, match="damaged"):
        look_for_restore_point("after", [Pretended([point], 9, damaged=frozenset({8}))])
