"""A part of a watch that hangs or fails costs its own findings, and no other's."""

from __future__ import annotations

import logging
import threading

import pytest

from backstop.commands.watch.part import EVERY, Part, together
from backstop.commands.watch.time_limits import answers_within, within
from backstop.errors import ConfigurationError
from backstop.model.finding import Level

SPARES = {("rpo", EVERY), ("slot", "slot backstop_calibrify")}


def test_what_comes_in_time_is_handed_on():
    part = Part(unseen=("something",))

    assert within(lambda: part, seconds=10, target="calibrify", name="it", spares=SPARES) is part


def test_a_part_that_hangs_is_given_up_and_what_it_would_have_judged_stays_as_it_is():
    never = threading.Event()  # set only once the part has been given up

    part = within(
        lambda: (never.wait() and Part()) or Part(),
        seconds=0.05,
        target="calibrify",
        name="archiving",
        spares=SPARES,
    )

    never.set()
    assert part.unjudged == SPARES
    (finding,) = part.findings
    assert (finding.check, finding.subject, finding.level) == ("watch", "archiving", Level.WARNING)
    assert "archiving of calibrify could not be looked at: it took more than" in finding.sentence
    assert part.unseen == (finding.sentence,)


def test_a_part_that_fails_is_logged_and_its_message_shown_to_nobody(caplog: pytest.LogCaptureFixture):
    def fail() -> Part:
        raise RuntimeError("hunter2")

    with caplog.at_level(logging.ERROR):
        part = within(fail, seconds=10, target="calibrify", name="archiving", spares=SPARES)

    assert part.unjudged == SPARES
    assert "hunter2" not in str(part)
    assert "looking at archiving of calibrify failed" in caplog.text


def test_a_part_that_says_why_it_cannot_is_shown_with_its_next_step():
    def refuse() -> Part:
        raise ConfigurationError("there is no connection 'source'", hint="create it")

    part = within(refuse, seconds=10, target="calibrify", name="source", spares=SPARES)

    assert "no connection 'source'" in part.findings[0].sentence
    assert part.findings[0].next_step == "create it"


def test_parts_together_are_one():
    both = together([Part(seen=(1,), unjudged=frozenset({("rpo", "a")})), Part(seen=(2,), unseen=("x",))])

    assert both == Part(seen=(1, 2), unseen=("x",), unjudged=frozenset({("rpo", "a")}))


def test_of_several_that_are_asked_at_once_those_that_hang_are_left_out():
    never = threading.Event()  # set only once all is answered

    answers = answers_within(
        {"local": lambda: 1, "share": lambda: int(never.wait()), "s3": lambda: 2}, seconds=1
    )

    never.set()
    assert answers == {"local": 1, "s3": 2}


def test_what_one_of_several_raises_is_raised():
    with pytest.raises(ZeroDivisionError):
        answers_within({"local": lambda: 1 // 0}, seconds=10)
