"""Journals of incidents: in every repository that answers, merged on reading."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from backstop.errors import StorageUnavailableError
from backstop.model.canonical import format_time
from backstop.model.incident import EventKind
from backstop.model.incident_state import state_of
from backstop.repository.catalog import Repository
from backstop.repository.incidents import IncidentJournal
from backstop.storage.memory import MemoryStorage
from tests.making import STARTED

INCIDENT = "incident-20261126T190000Z-1f3a"
DECLARED = {
    "by": "ada",
    "what": "the disk died",
    "components": [],
    "clock_from": format_time(STARTED),
    "before": None,
}


class Clock:
    def __init__(self) -> None:
        self.now = STARTED

    def __call__(self):
        self.now += timedelta(seconds=1)
        return self.now


class Silent:
    """A repository that does not answer."""

    location = "s3://gone"

    def __init__(self, asked: list[str] | None = None) -> None:
        self.asked = [] if asked is None else asked

    def list(self, prefix: str):
        self.asked.append(prefix)
        raise StorageUnavailableError("s3://gone does not answer")


class Breaking:
    """One that takes what lies there, and fails while something is written."""

    def __init__(self, storage: MemoryStorage) -> None:
        self._storage = storage
        self.location = storage.location

    def __getattr__(self, name: str):
        return getattr(self._storage, name)

    def put_once(self, key: str, data: bytes):
        raise StorageUnavailableError(f"{key} was not taken")


def journal(clock=None, **storages) -> IncidentJournal:
    repositories = [Repository(name, storage, None) for name, storage in storages.items()]
    return IncidentJournal(repositories, "calibrify", clock=clock or Clock())


def said(found) -> list[str]:
    return [event.data["text"] for event in found]


def note(one: IncidentJournal, text: str):
    return one.append(INCIDENT, EventKind.NOTED, {"by": "ada", "text": text})


def test_every_repository_gets_every_event_under_the_next_number():
    near, far = MemoryStorage(), MemoryStorage()
    one = journal(near=near, far=far)

    note(one, "first")
    note(one, "second")

    for storage in (near, far):
        keys = [info.key for info in storage.list("calibrify/")]
        assert keys == [f"calibrify/meta/incidents/{INCIDENT}/{n}.json" for n in (1, 2)]
        assert said(journal(only=storage).events(INCIDENT)) == ["first", "second"]


def test_what_a_repository_missed_while_it_was_down_it_gets_with_the_next_event():
    near, far = MemoryStorage(), MemoryStorage()
    note(journal(near=near, far=Silent()), "while far was down")

    note(journal(near=near, far=far), "with both")

    assert said(journal(far=far).events(INCIDENT)) == ["while far was down", "with both"]


def test_two_journals_that_grew_apart_are_one_again_in_the_order_in_which_each_was_written():
    near, far, clock = MemoryStorage(), MemoryStorage(), Clock()
    note(journal(clock, near=near, far=far), "declared")
    note(journal(clock, near=near, far=Silent()), "near: a")
    note(journal(clock, near=Silent(), far=far), "far: a")
    note(journal(clock, near=near, far=Silent()), "near: b")

    both = journal(clock, near=near, far=far)

    assert said(both.events(INCIDENT)) == ["declared", "near: a", "far: a", "near: b"]
    note(both, "together")
    for storage in (near, far):
        there = said(journal(only=storage).events(INCIDENT))
        assert there == ["declared", "near: a", "far: a", "near: b", "together"]


def test_an_event_comes_behind_all_that_its_writer_knew_whatever_his_clock_says():
    storage, ahead, behind = MemoryStorage(), Clock(), Clock()
    ahead.now += timedelta(hours=2)
    note(journal(ahead, near=storage), "by a clock that is two hours ahead")

    note(journal(behind, near=storage), "later, by one that is right")

    found = journal(near=storage).events(INCIDENT)
    assert said(found) == ["by a clock that is two hours ahead", "later, by one that is right"]
    assert found[0].at > found[1].at


def test_two_who_write_at_once_take_two_numbers():
    storage = MemoryStorage()
    one, other = journal(near=storage), journal(near=storage)
    note(one, "before")
    original = storage.list

    def listed(prefix):  # the other writes after this one has looked
        found = list(original(prefix))
        storage.list = original
        note(other, "in between")
        return iter(found)

    storage.list = listed
    note(one, "after all")

    assert sorted(said(journal(near=storage).events(INCIDENT))) == ["after all", "before", "in between"]
    assert len(list(storage.list("calibrify/"))) == 3


def test_one_that_fails_while_it_is_written_to_does_not_keep_the_event_out_of_the_other():
    near, far = MemoryStorage(), MemoryStorage()
    one = journal(near=near, far=Breaking(far))

    note(one, "taken")

    assert said(journal(near=near).events(INCIDENT)) == ["taken"]
    assert one.failed == {"far": f"calibrify/meta/incidents/{INCIDENT}/1.json was not taken"}


def test_one_that_cannot_be_read_is_told_apart_from_one_that_cannot_be_written_to():
    one = journal(near=MemoryStorage(), far=Silent(), worn=Breaking(MemoryStorage()))

    note(one, "taken")

    assert set(one.failed) == {"far", "worn"}
    assert one.unheard == {"far": "s3://gone does not answer"}


def test_where_no_repository_takes_it_the_writer_is_told():
    with pytest.raises(StorageUnavailableError, match="was not taken"):
        note(journal(near=Breaking(MemoryStorage())), "lost")


def test_where_none_answers_nobody_is_told_that_there_is_no_incident():
    with pytest.raises(StorageUnavailableError, match="does not answer"):
        journal(near=Silent()).incidents()


def test_a_repository_that_does_not_answer_is_asked_again_after_a_minute_and_not_with_every_event():
    asked: list[str] = []
    clock = Clock()
    one = journal(clock, near=MemoryStorage(), far=Silent(asked))
    for number in range(5):
        note(one, str(number))
    assert len(asked) == 1

    clock.now += timedelta(minutes=2)
    note(one, "later")

    assert len(asked) == 2


@pytest.mark.parametrize(("order", "damaged"), [("1e999", 1), ("9" * 4300, 0)], ids=["infinite", "long"])
def test_an_event_of_no_sensible_order_stops_nobody_from_writing_the_next(order, damaged):
    near = MemoryStorage()
    note(journal(near=near), "whole")
    event = near.read(f"calibrify/meta/incidents/{INCIDENT}/1.json").replace(b'"order":1,', b'"order":#,')
    near.put_once(
        f"calibrify/meta/incidents/{INCIDENT}/2.json",
        event.replace(b'"uid":"', b'"uid":"x').replace(b"#", order.encode()),
    )

    one = journal(near=near)
    note(one, "next")

    assert len(one.damaged) == damaged
    assert "next" in said(journal(near=near).events(INCIDENT))


def test_a_damaged_event_is_named_and_the_other_repository_has_it():
    near, far = MemoryStorage(), MemoryStorage()
    note(journal(near=near, far=far), "whole")
    key = f"calibrify/meta/incidents/{INCIDENT}/1.json"
    near.delete(key)
    near.put_once(key, b"{}")

    one = journal(near=near, far=far)

    assert said(one.events(INCIDENT)) == ["whole"]
    assert len(one.damaged) == 1
    assert key in one.damaged[0]
    # Its number is taken: the next event gets another one.
    note(one, "next")
    assert json.loads(near.read(key)) == {}


def test_an_incident_is_open_until_somebody_closes_it():
    one = journal(near=MemoryStorage())
    one.append(INCIDENT, EventKind.DECLARED, DECLARED)
    assert one.open_incidents() == [INCIDENT]

    one.append(INCIDENT, EventKind.CLOSED, {"by": "ada", "outcome": "everything is back"})

    assert one.open_incidents() == []
    assert one.incidents() == [INCIDENT]


@pytest.mark.parametrize(
    "spoiled",
    [
        b"[" * 100_000,
        b"\xff",
        json.dumps({"kind": "step ended", "data": {"step": "recover:base"}}).encode(),
        json.dumps({"kind": "step ended", "data": {"outcome": "as nobody knows it"}}).encode(),
        json.dumps({"kind": "declared", "data": {**DECLARED, "clock_from": "yesterday"}}).encode(),
        json.dumps({"kind": "assessed", "data": {"assessment": "none"}}).encode(),
    ],
    ids=["too deep", "no text", "half", "no outcome", "no time", "no assessment"],
)
def test_a_line_that_cannot_be_used_stops_nobody_who_reads_the_others(spoiled):
    near = MemoryStorage()
    one = journal(near=near)
    one.append(INCIDENT, EventKind.DECLARED, DECLARED)
    try:
        raw = {"at": format_time(STARTED), "format": 1, "order": 2, "uid": "x", **json.loads(spoiled)}
        spoiled = json.dumps(raw).encode()
    except (ValueError, RecursionError):
        pass
    near.put_once(f"calibrify/meta/incidents/{INCIDENT}/2.json", spoiled)

    again = journal(near=near)
    state = state_of(INCIDENT, again.events(INCIDENT))

    assert state.what == "the disk died"
    assert state.step("recover:base").tries == 0
    assert len(again.damaged) == 1
    assert again.failed == {}
    again.append(INCIDENT, EventKind.NOTED, {"by": "ada", "text": "on it goes"})


def test_an_incident_whose_declaration_is_lost_keeps_nobody_from_declaring_another():
    near = MemoryStorage()
    near.put_once(f"calibrify/meta/incidents/{INCIDENT}/1.json", b"no JSON")
    one = journal(near=near)
    note(one, "it goes on")

    assert one.open_incidents() == []
    assert one.incidents() == [INCIDENT]
