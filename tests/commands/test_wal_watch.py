"""The observed RPO is what would be lost, or more; never less."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from backstop.commands.wal.service_watch import Observations
from backstop.model.lsn import Lsn

NOON = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)


@dataclass
class Room:
    """An archiver's observations and the clock on its wall."""

    at: float = 0.0
    seen: Observations = field(init=False)

    def __post_init__(self) -> None:
        self.seen = Observations(lambda: NOON + timedelta(seconds=self.at))

    def hear(self, position: int, *, sent: float) -> None:
        self.seen.heard(Lsn(position), NOON + timedelta(seconds=sent))

    def rpo(self, position: int) -> float | None:
        found = self.seen.rpo(Lsn(position))
        return None if found is None else round(found.total_seconds(), 3)


def test_a_repository_with_all_that_was_heard_loses_nothing_at_that_moment():
    room = Room()
    room.hear(100, sent=0)

    assert room.rpo(100) == 0


def test_while_the_server_is_not_heard_it_may_have_written():
    room = Room()
    room.hear(100, sent=0)
    room.at = 40

    assert room.rpo(100) == 40


def test_wal_is_as_old_as_the_message_before_it():
    room = Room()
    room.hear(100, sent=0)
    room.at = 5
    room.hear(200, sent=5)

    assert room.rpo(100) == 5
    assert room.rpo(200) == 0


def test_after_a_start_nothing_is_known_until_what_had_been_written_by_then_is_stored():
    room = Room()
    room.hear(1000, sent=0)
    room.at = 1
    room.hear(1100, sent=1)

    assert room.rpo(999) is None
    assert room.rpo(1000) == 1


def test_a_message_that_had_to_wait_does_not_turn_the_clock_back():
    room = Room()
    room.hear(100, sent=0)
    room.at = 3
    room.hear(200, sent=1)

    assert 1.8 < room.rpo(200) <= 2


def test_a_clock_that_was_set_back_is_believed_after_a_while():
    room = Room()
    for second in range(400):
        room.at = second
        room.hear(100 + second, sent=second - (10 if second > 100 else 0))

    assert room.rpo(499) == 0


def test_after_a_recovery_to_a_point_in_time_the_former_end_of_wal_is_not_waited_for():
    room = Room()
    room.seen.follow(1, Lsn(0))
    room.hear(1000, sent=0)
    room.at = 60
    room.seen.follow(2, Lsn(200))
    room.hear(250, sent=60)

    assert room.seen.server_position == Lsn(250)
    # Older than it is, until it is stored.
    assert room.rpo(200) == 60
    assert room.rpo(250) == 0


def test_the_same_timeline_goes_on_where_it_was():
    room = Room()
    room.seen.follow(1, Lsn(0))
    room.hear(1000, sent=0)
    room.seen.follow(1, Lsn(200))

    assert room.seen.server_position == Lsn(1000)
