"""Stakeholders are told by notifiers as Airflow has them; none of those can stop a recovery."""

from __future__ import annotations

import json

import pytest

from backstop.commands.disaster.telling import Communication
from backstop.commands.disaster.texts import TextSources
from backstop.notifications.stakeholders import StakeholderListener
from backstop.targets.alerts import NotifierConfig
from tests.notifying import PIGEON, Pigeon
from tests.telling import FakeIncident, after


@pytest.fixture(autouse=True)
def sent(monkeypatch):
    monkeypatch.setattr(Pigeon, "sent", [])
    return Pigeon.sent


def stakeholder(notifier: str = PIGEON, *, patience: float = 30.0, **arguments) -> StakeholderListener:
    config = NotifierConfig.model_validate({"notifier": notifier, **arguments})
    return StakeholderListener(config, target="calibrify", context={}, patience_seconds=patience)


def tell(*listeners: StakeholderListener, incident: FakeIncident | None = None) -> tuple[str, ...]:
    talk = Communication(listeners, TextSources(), clock=lambda: after(0))
    return talk.tell(incident or FakeIncident(), "start")


def test_a_notifier_is_called_with_the_message_as_those_of_alerts_are():
    failures = tell(
        stakeholder(
            subject="{{ alert.subject }}",
            message="{{ alert.message }}",
            headers={"level": "{{ alert.level }}", "public": "{{ public | tojson }}"},
        )
    )

    assert failures == ()
    (pigeon,) = Pigeon.sent
    assert pigeon.subject == "[calibrify-prod] recovery begins: the disk of db1 died"
    assert "How long: about 20 min more" in pigeon.message
    assert pigeon.headers["level"] == "critical"
    assert "db1" not in json.loads(pigeon.headers["public"])["text"]


@pytest.mark.parametrize(
    ("listener", "said"),
    [
        (stakeholder("tests.notifying.Lost"), "the pigeon did not come back"),
        (stakeholder("tests.notifying.Sleeping", patience=0.1), "did not end within"),
        (stakeholder("tests.notifying.NoSuch"), "there is no notifier"),
        (stakeholder(no_such_argument=1), "does not take these arguments"),
    ],
    ids=["fails", "hangs", "is missing", "is told nonsense"],
)
def test_one_who_cannot_be_told_is_in_the_journal_and_the_others_are_told(listener, said):
    incident = FakeIncident()

    (failure,) = tell(listener, stakeholder(subject="well"), incident=incident)

    assert said in failure
    assert [pigeon.subject for pigeon in Pigeon.sent] == ["well"]
    failed, told = incident.telling
    assert said in failed["failed"]
    assert told["failed"] == ""
