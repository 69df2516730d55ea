"""How an incident stands, from its journal alone."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest

from backstop.errors import IntegrityError
from backstop.model.canonical import format_time
from backstop.model.incident import Event, EventKind, merged
from backstop.model.incident_state import StepStatus, plan_digest, state_of
from tests.making import STARTED


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


class Journal:
    """Events, a minute apart."""

    def __init__(self, **declared: Any) -> None:
        self.events: list[Event] = []
        said = {
            "by": "ada",
            "what": "x",
            "components": [],
            "clock_from": format_time(STARTED),
            "before": None,
        }
        self.add(EventKind.DECLARED, **{**said, **declared})

    def add(self, kind: EventKind, **data: Any) -> Event:
        number = len(self.events) + 1
        event = Event(number, STARTED + minutes(number), kind, data, uid=f"uid-{number}", order=number)
        self.events.append(event)
        return event

    def began(self, step: str) -> str:
        return self.add(EventKind.STEP_BEGAN, step=step, by="ada").uid

    def ended(self, step: str, run: str, outcome: str = "passed", **facts: Any) -> None:
        self.add(
            EventKind.STEP_ENDED,
            step=step,
            run=run,
            outcome=outcome,
            sentence=f"{step} {outcome}",
            facts=facts,
        )

    def passed(self, step: str) -> None:
        self.ended(step, self.began(step))

    def chose(self, *components: str, label: str = "one") -> None:
        plan = {"order": components, "parts": [{"component": one, "label": label} for one in components]}
        self.add(EventKind.CHOSEN, by="ada", plan=plan, plan_sha256=plan_digest(plan))

    @property
    def state(self):
        state = state_of("incident-1", self.events)
        assert state is not None
        return state

    def status(self, step: str) -> StepStatus:
        return self.state.step(step).status


def test_without_a_declaration_there_is_no_incident():
    assert state_of("incident-1", []) is None


def test_a_step_that_nobody_began_is_open_and_one_without_an_end_has_begun():
    journal = Journal()
    assert journal.status("infrastructure") is StepStatus.OPEN

    journal.began("infrastructure")

    assert journal.status("infrastructure") is StepStatus.BEGUN
    assert not journal.state.step("infrastructure").settled


@pytest.mark.parametrize(
    ("outcome", "status", "settled"),
    [
        ("passed", StepStatus.PASSED, True),
        ("failed", StepStatus.FAILED, False),
        ("not applicable", StepStatus.SKIPPED, True),
        ("not done", StepStatus.SKIPPED, True),
    ],
)
def test_how_a_step_ended_is_how_it_stands(outcome, status, settled):
    journal = Journal()
    journal.ended("infrastructure", journal.began("infrastructure"), outcome)

    assert journal.status("infrastructure") is status
    assert journal.state.step("infrastructure").settled is settled


def test_the_newest_beginning_counts_and_an_end_belongs_to_its_own():
    journal = Journal()
    first = journal.began("infrastructure")
    journal.began("infrastructure")
    journal.ended("infrastructure", first, "failed")

    step = journal.state.step("infrastructure")

    assert (step.status, step.tries) == (StepStatus.BEGUN, 2)


def test_how_far_a_run_has_come_is_its_own_word_and_no_earlier_ones():
    journal = Journal()
    first = journal.began("infrastructure")
    journal.add(EventKind.STEP_REACHED, step="infrastructure", run=first, facts={"at": "here"})
    assert journal.state.step("infrastructure").reached == {"at": "here"}

    journal.began("infrastructure")

    assert journal.state.step("infrastructure").reached == {}


def test_a_step_left_out_is_skipped_until_somebody_does_it():
    journal = Journal()
    journal.ended("infrastructure", "", "not done")
    assert journal.status("infrastructure") is StepStatus.SKIPPED

    run = journal.began("infrastructure")
    assert journal.status("infrastructure") is StepStatus.BEGUN
    journal.ended("infrastructure", run)
    assert journal.status("infrastructure") is StepStatus.PASSED
    journal.ended("infrastructure", "", "not done")
    assert journal.status("infrastructure") is StepStatus.SKIPPED


def test_which_components_come_back_is_known_once_a_plan_is_chosen():
    journal = Journal()
    assert not [step for step in journal.state.steps() if step.startswith("recover:")]

    journal.chose("tree:config", "base")

    recovers = [step for step in journal.state.steps() if step.startswith("recover:")]
    assert recovers == ["recover:tree:config", "recover:base"]
    assert journal.state.steps().index("infrastructure") < journal.state.steps().index("recover:tree:config")


def test_another_point_is_another_recovery_and_the_same_point_chosen_again_is_not():
    journal = Journal()
    journal.chose("base", "tree:media")
    journal.passed("recover:base")

    journal.chose("base")
    assert journal.status("recover:base") is StepStatus.PASSED
    journal.chose("base", label="two")
    assert journal.status("recover:base") is StepStatus.OPEN
    assert journal.state.recovered()["base"].status is StepStatus.PASSED


def test_what_was_validated_before_another_choice_is_validated_again_and_infrastructure_is_not():
    journal = Journal()
    journal.chose("base")
    journal.passed("infrastructure")
    journal.passed("validate:functionality")

    journal.chose("base", label="two")

    assert journal.status("validate:functionality") is StepStatus.OPEN
    assert journal.status("infrastructure") is StepStatus.PASSED


def test_a_component_that_failed_and_came_back_is_back():
    journal = Journal()
    journal.chose("base")
    journal.ended("recover:base", journal.began("recover:base"), "failed")
    assert journal.state.recovered()["base"].status is StepStatus.FAILED

    journal.passed("recover:base")
    assert journal.state.recovered()["base"].status is StepStatus.PASSED
    journal.ended("recover:base", journal.began("recover:base"), "failed")
    assert journal.state.recovered()["base"].status is StepStatus.PASSED


def test_the_clock_runs_from_when_it_was_noticed_until_it_is_closed_and_waits_are_told_apart():
    journal = Journal(clock_from=format_time(STARTED - minutes(30)))
    journal.add(EventKind.WAIT_BEGAN, **{"for": "an approver"})
    journal.add(EventKind.NOTED, by="ada", text="called twice")
    journal.add(EventKind.WAIT_ENDED, by="grace")
    now = STARTED + minutes(60)
    assert journal.state.elapsed(now) == minutes(90)
    assert journal.state.waited(now) == minutes(2)

    journal.add(EventKind.CLOSED, by="ada", outcome="everything is back")

    assert journal.state.elapsed(now) == minutes(35)
    assert journal.state.closed is not None


def test_whoever_was_killed_at_the_question_is_not_waited_for_while_work_goes_on():
    journal = Journal()
    journal.add(EventKind.WAIT_BEGAN, **{"for": "a person at the terminal"})  # two minutes after STARTED
    journal.add(EventKind.NOTED, by="ada", text="killed here")
    journal.began("recover:base")

    assert journal.state.waited(STARTED + minutes(90)) == minutes(2)


def test_of_a_wait_that_goes_on_counts_what_lies_before_the_moment_that_is_asked_for():
    journal = Journal()
    journal.add(EventKind.WAIT_BEGAN, **{"for": "an approver"})  # two minutes after STARTED

    assert journal.state.waited(STARTED + minutes(9), until=STARTED + minutes(5)) == minutes(3)
    assert journal.state.waited(STARTED + minutes(9), until=STARTED + minutes(1)) == minutes(0)


def test_what_somebody_named_as_lost_stays_named_and_a_later_moment_counts():
    journal = Journal(components=["base"], before=format_time(STARTED - minutes(5)))
    assert journal.state.lost_at == STARTED - minutes(5)
    named = [{"component": "tree:media", "declared": True}, {"component": "tree:config", "declared": False}]
    moment = format_time(STARTED - minutes(9))
    journal.add(EventKind.ASSESSED, assessment={"components": named, "before": moment})

    assert journal.state.named == ("base", "tree:media")
    assert journal.state.lost_at == STARTED - minutes(9)


def test_of_several_estimates_the_newest_counts():
    journal = Journal()
    assert journal.state.estimate == {}
    for median in (300, 200):
        journal.add(EventKind.ESTIMATED, low_seconds=100, median_seconds=median, high_seconds=400)

    assert journal.state.estimate["median_seconds"] == 200


def test_two_plans_have_two_digests():
    assert plan_digest({"order": ["base"]}) != plan_digest({"order": ["tree:media"]})


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_journals_that_grew_apart_are_the_same_however_they_are_read(order):
    journal = Journal()
    journal.passed("infrastructure")
    one, other, third = journal.events[:2], journal.events[1:], journal.events[::-1]

    found = merged([one, other, third][index] for index in order)

    assert found == journal.events


def test_an_event_reads_back_as_it_was_written_and_a_malformed_one_is_refused():
    event = Journal().events[0]

    assert Event.from_dict(event.to_dict(), number=1) == event
    for key in ("at", "kind", "data", "uid", "order"):
        broken = {**event.to_dict(), key: None} if key != "uid" else {"at": "x"}
        with pytest.raises(IntegrityError, match="event 7"):
            Event.from_dict(broken, number=7)
