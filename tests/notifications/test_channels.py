"""Whoever alerts of targets.yaml name is told, by notifiers as Airflow has them."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from backstop.errors import ConfigurationError
from backstop.model.announcement import Announcement
from backstop.model.finding import EVERY_TARGET, Finding, Level
from backstop.model.finding_state import News, seen
from backstop.notifications.alert import alert_of
from backstop.notifications.channels import NotifierChannel, channels_of
from backstop.targets.alerts import Alerts, NotifierConfig
from tests.notifying import PIGEON, Pigeon

START = datetime(2026, 11, 23, 1, tzinfo=timezone.utc)
CRITICAL, WARNING = Level.CRITICAL, Level.WARNING


@pytest.fixture(autouse=True)
def sent(monkeypatch):
    monkeypatch.setattr(Pigeon, "sent", [])
    return Pigeon.sent


def finding(level=CRITICAL, target="calibrify", sentence="the slot is lost") -> Finding:
    return Finding(target, "slot", "slot b", level, sentence, "see the server")


def announcement(*findings: Finding, url: str = "") -> Announcement:
    states = tuple(seen(None, one, START) for one in findings or (finding(),))
    return Announcement(
        News.OPENED, CRITICAL, tuple(replace(one, facts={"url": url} if url else {}) for one in states)
    )


def channel(levels=frozenset(Level), *, patience=30.0, **arguments) -> NotifierChannel:
    config = NotifierConfig.model_validate({"notifier": PIGEON, **arguments})
    return NotifierChannel(config, levels, {}, patience_seconds=patience)


def test_arguments_are_templates_in_which_the_alert_can_be_named_whatever_the_fields_are_called():
    channel(
        subject="{{ alert.subject }}",
        message="{{ alert.message }}",
        headers={"level": "{{ alert.level }}", "body": "{{ alert | tojson }}"},
    ).tell(announcement())

    sent = Pigeon.sent[0]
    assert sent.subject == "[critical] calibrify: the slot is lost"
    assert "Next: see the server" in sent.message
    assert sent.headers["level"] == "critical"
    assert json.loads(sent.headers["body"])["findings"][0]["anchor"] == "docs/monitoring.md#slot"


def test_one_channel_can_tell_many_times():
    pigeons = channel(message="{{ alert.subject }}")
    pigeons.tell(announcement())
    pigeons.tell(announcement(finding(sentence="the key goes")))

    assert [one.message for one in Pigeon.sent] == [
        "[critical] calibrify: the slot is lost",
        "[critical] calibrify: the key goes",
    ]


def test_what_a_finding_says_is_never_a_template():
    channel(message="{{ alert.subject }}").tell(announcement(finding(sentence="{{ 1/0 }}")))

    assert Pigeon.sent[0].message == "[critical] calibrify: {{ 1/0 }}"


def test_the_tasks_own_context_can_be_named_too():
    config = NotifierConfig.model_validate({"notifier": PIGEON, "message": "{{ run_id }}"})
    NotifierChannel(config, frozenset(Level), {"run_id": "manual__1"}).tell(announcement())

    assert Pigeon.sent[0].message == "manual__1"


def test_a_notifier_that_hangs_is_given_up():
    with pytest.raises(TimeoutError, match="did not end within"):
        channel(notifier="tests.notifying.Sleeping", patience=0.05).tell(announcement())


def test_what_a_notifier_raises_is_raised():
    with pytest.raises(ConnectionError, match="did not come back"):
        channel(notifier="tests.notifying.Lost").tell(announcement())


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"notifier": "nowhere.at.All"}, "there is no notifier nowhere.at.All"),
        ({"notifier": "tests.notifying.Eagle"}, "there is no notifier tests.notifying.Eagle"),
        ({"notifier": PIGEON, "wings": 2}, "does not take these arguments: .*wings"),
    ],
)
def test_a_notifier_that_cannot_be_made_says_what_to_correct(wrong, what):
    with pytest.raises(ConfigurationError, match=what) as raised:
        channel(**wrong).tell(announcement())
    assert "targets.yaml" in raised.value.hint


def alerts(**sections) -> Alerts:
    return Alerts.model_validate(sections)


def told_of(alerts: Alerts, level: Level, target: str = "calibrify") -> int:
    return sum(one.wants(finding(level, target)) for one in channels_of(alerts, {}))


def test_a_notifier_that_stands_under_both_levels_is_one_channel():
    both = alerts(critical=[{"notifier": PIGEON}], warning=[{"notifier": PIGEON}])

    assert len(channels_of(both, {})) == 1
    assert (told_of(both, CRITICAL), told_of(both, WARNING)) == (1, 1)


def test_what_is_critical_goes_to_those_of_warnings_where_nobody_else_is_named():
    assert told_of(alerts(warning=[{"notifier": PIGEON}]), CRITICAL) == 1
    assert told_of(alerts(critical=[{"notifier": PIGEON}]), WARNING) == 0


def test_a_notifier_can_be_for_some_targets_and_then_hears_what_is_about_all_of_them_too():
    some = alerts(critical=[{"notifier": PIGEON, "only": ["calibrify"]}])

    assert [told_of(some, CRITICAL, name) for name in ("calibrify", "other", EVERY_TARGET)] == [1, 0, 1]


def test_a_notifier_for_some_targets_does_not_hear_which_others_there_were():
    left = Finding(EVERY_TARGET, "undescribed", "repository s3", WARNING, "s3 has backups of blog", "look")

    wants = [channel(only=only).wants(left) for only in (["calibrify"], [])]

    assert wants == [False, True]


def test_a_channel_keeps_its_name_as_long_as_it_says_the_same():
    assert channel(message="a").name == channel(message="a").name
    assert channel(message="a").name != channel(message="b").name


def test_without_any_notifier_the_log_is_told(caplog):
    (log,) = channels_of(Alerts(), {})
    with caplog.at_level(logging.WARNING):
        log.tell(announcement())

    assert (log.name, log.wants(finding())) == ("log", True)
    assert "the slot is lost" in caplog.text


def test_links_lead_to_the_target_to_all_of_them_or_to_the_run_that_failed():
    def url(*findings, run=""):
        return alert_of(announcement(*findings, url=run), base_url="https://airflow.example/")["url"]

    assert url(finding()) == "https://airflow.example/backstop/targets/calibrify"
    assert url(finding(), finding(target="b")) == "https://airflow.example/backstop/"
    assert url(finding(target=EVERY_TARGET)) == "https://airflow.example/backstop/"
    assert url(run="https://airflow.example/dags/x/runs/1") == "https://airflow.example/dags/x/runs/1"
    assert alert_of(announcement(), base_url=None)["url"] == ""
