"""Each message once to each of those who wait; nobody who fails or hangs stops a recovery."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from backstop.commands.disaster.reporting import reporting
from backstop.commands.disaster.status_page import NotToldError
from backstop.commands.disaster.telling import Communication, next_period
from backstop.commands.disaster.texts import TextSources
from backstop.errors import StorageUnavailableError
from tests.telling import DECLARED_AT, WHAT, Ear, FakeIncident, after


def telling(*ears: Ear, at: float = 1, say=None) -> Communication:
    return Communication(ears, TextSources(), clock=lambda: after(at), say=say)


def fail(_message: object) -> None:
    raise ConnectionError("https://hooks.example.com/s3cret did not answer")


def test_everybody_is_told_and_the_journal_has_it():
    incident, one, other = FakeIncident(), Ear("one"), Ear("other")

    assert telling(one, other).tell(incident, "start") == ()

    assert [len(ear.heard) for ear in (one, other)] == [1, 1]
    assert [(told["channel"], told["moment"], told["failed"]) for told in incident.telling] == [
        ("one", "start", ""),
        ("other", "start", ""),
    ]
    assert WHAT in incident.telling[0]["text"]


def test_the_journal_has_what_each_of_them_read():
    incident = FakeIncident()

    telling(Ear("board"), Ear("page", public=True)).tell(incident, "start")

    board, page = incident.telling
    assert WHAT in board["text"]
    assert WHAT not in f"{page['subject']} {page['text']}"


def test_a_message_is_told_once_however_often_the_step_is_tried_again():
    incident, ear = FakeIncident(), Ear()

    telling(ear).tell(incident, "start")
    telling(ear).tell(incident, "start")

    assert len(ear.heard) == 1


def test_only_those_who_could_not_be_told_are_told_when_it_is_tried_again():
    incident, well, broken = FakeIncident(), Ear("well"), Ear("broken", answer=fail)

    (failure,) = telling(well, broken).tell(incident, "start")
    assert "broken could not be told of start: ConnectionError" in failure
    assert "s3cret" not in failure

    broken.answer = None
    assert telling(well, broken).tell(incident, "start") == ()
    assert [len(ear.heard) for ear in (well, broken)] == [1, 1]
    assert [(told["channel"], bool(told["failed"])) for told in incident.telling] == [
        ("well", False),
        ("broken", True),
        ("broken", False),
    ]


def test_a_step_that_tells_fails_when_somebody_could_not_be_told():
    with pytest.raises(NotToldError, match="broken could not be told of start"):
        telling(Ear("broken", answer=fail))(FakeIncident(), "start")


def test_an_end_that_turns_out_well_after_all_is_told_too():
    incident, ear = FakeIncident(), Ear()
    incident.step("recover:base", "failed", sentence="no room")
    telling(ear).tell(incident, "end")

    for component in ("base", "tree:media"):
        incident.step(f"recover:{component}", "passed")
    telling(ear).tell(incident, "end")
    telling(ear).tell(incident, "end")

    assert [message.public.state for message in ear.heard] == ["investigating", "resolved"]


def test_one_who_is_slow_keeps_nobody_waiting():
    heard = threading.Event()

    def until_the_other_has_heard(_message: object) -> None:
        assert heard.wait(30)

    slow = Ear("slow", answer=until_the_other_has_heard)
    quick = Ear("quick", answer=lambda _message: heard.set())

    assert telling(slow, quick).tell(FakeIncident(), "start") == ()
    assert len(slow.heard) == 1


def test_progress_is_told_once_for_each_state_of_things():
    incident, ear = FakeIncident(), Ear()
    incident.step("recover:base", "passed", began_at=after(0))
    telling(ear).tell(incident, "progress")
    telling(ear).tell(incident, "progress")
    assert len(ear.heard) == 1

    incident.step("recover:tree:media", "passed", began_at=after(5))
    telling(ear).tell(incident, "progress")
    assert len(ear.heard) == 2


def test_progress_that_comes_late_is_not_told_after_everything_is_back():
    incident, ear = FakeIncident(), Ear()
    incident.step("recover:base", "failed", sentence="no room")
    telling(ear).tell(incident, "end")
    telling(ear).tell(incident, "progress", "period 3")

    for component in ("base", "tree:media"):
        incident.step(f"recover:{component}", "passed")
    telling(ear).tell(incident, "end")
    telling(ear).tell(incident, "progress", "period 4")

    assert [message.moment for message in ear.heard] == ["end", "progress", "end"]


def test_the_estimate_is_brought_up_to_date_in_the_journal_with_every_message():
    incident, ear = FakeIncident(), Ear()
    telling(ear, at=0).tell(incident, "start")
    incident.step("recover:base", "passed", began_at=after(0))
    telling(ear, at=11).tell(incident, "progress")

    assert incident.estimates == [(600.0, 1200.0, 1800.0), (300.0, 600.0, 900.0)]


def test_where_nobody_tells_stakeholders_their_text_is_there_to_be_sent_by_hand():
    said: list[str] = []

    telling(say=said.append).tell(FakeIncident(), "start")

    assert "[calibrify-prod] recovery begins" in said[0]


def test_a_journal_that_does_not_answer_stops_neither_the_message_nor_the_recovery():
    class Unreachable(FakeIncident):
        def told(self, *_args: object, **_more: object) -> None:
            raise StorageUnavailableError("the bucket does not answer")

        def estimated(self, *_figures: object) -> None:
            raise StorageUnavailableError("the bucket does not answer")

    ear = Ear()
    failures = telling(ear).tell(Unreachable(), "start")

    assert len(ear.heard) == 1
    assert "the bucket does not answer" in failures[0]


def test_the_regular_messages_are_counted_from_the_declaration():
    every = timedelta(minutes=15)

    assert next_period(DECLARED_AT, after(1), every) == ("period 1", after(15))
    assert next_period(DECLARED_AT, after(15), every) == ("period 2", after(30))
    assert next_period(DECLARED_AT, after(44), every) == ("period 3", after(45))


def test_while_a_step_goes_on_its_progress_is_told_every_so_often_and_it_ends_with_the_step():
    heard = threading.Semaphore(0)
    ear = Ear(answer=lambda _message: heard.release())
    now = [after(0)]

    def clock():
        # Every look at the clock, a quarter of an hour has almost passed.
        now[0] += timedelta(minutes=14, seconds=59, milliseconds=990)
        return now[0]

    talk = Communication([ear], TextSources(), clock=lambda: now[0])
    with reporting(FakeIncident, talk, every=timedelta(minutes=15), clock=clock):
        assert heard.acquire(timeout=30)
        assert heard.acquire(timeout=30)

    keys = [message.key for message in ear.heard]
    assert keys[:2] == ["period 1", "period 2"]
    assert {message.moment for message in ear.heard} == {"progress"}
    thread = next((one for one in threading.enumerate() if one.name == "progress"), None)
    if thread is not None:
        thread.join(30)
        assert not thread.is_alive()
