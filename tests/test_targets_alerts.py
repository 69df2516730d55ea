"""Who is told, as targets.yaml says it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from backstop.model.finding_state import Rhythm
from backstop.settings.alerts import rhythm_of
from backstop.targets.check import check_text
from tests.test_targets import VALID

if TYPE_CHECKING:
    from backstop.targets.alerts import Alerts

SLACK = "airflow.providers.slack.notifications.slack_webhook.SlackWebhookNotifier"


def with_alerts(text: str) -> str:
    return f"{VALID}alerts:\n{text}"


def alerts_of(text: str) -> Alerts:
    configuration, mistakes = check_text(with_alerts(text))
    assert mistakes == []
    assert configuration
    return configuration.alerts


def only_mistake(text: str) -> str:
    (mistake,) = check_text(with_alerts(text))[1]
    return str(mistake)


def test_what_is_not_said_is_what_the_state_machine_does_by_itself():
    configuration, _ = check_text(VALID)

    assert configuration
    assert rhythm_of(configuration.alerts) == Rhythm()


def test_everything_can_be_said():
    alerts = alerts_of(
        f"""\
  critical:
  - {{notifier: {SLACK}, slack_webhook_conn_id: x, text: "{{{{ alert.message }}}}", only: [calibrify]}}
  warn_after: 30m
  close_after: 15m
  repeat: {{critical: 1h, warning: 7d}}
  fold_above: 3
"""
    )

    (notifier,) = alerts.critical
    assert (notifier.notifier, notifier.only) == (SLACK, ["calibrify"])
    assert notifier.arguments == {"slack_webhook_conn_id": "x", "text": "{{ alert.message }}"}
    assert rhythm_of(alerts) == Rhythm(
        warn_after=timedelta(minutes=30),
        close_after=timedelta(minutes=15),
        repeat_critical=timedelta(hours=1),
        repeat_warning=timedelta(days=7),
        fold_above=3,
    )


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("  critcal: []\n", "column 3: alerts.critcal: unknown key; did you mean 'critical'?"),
        ("  critical: [{text: x}]\n", "column 14: alerts.critical[0].notifier: is missing"),
        (
            "  critical: [{notifier: Slack}]\n",
            "column 25: alerts.critical[0].notifier: expected the path of a class, package.module.Notifier, "
            "found 'Slack'",
        ),
        (
            f"  warning:\n  - notifier: {SLACK}\n    only: [calibrfy]\n",
            "column 12: alerts.warning[0].only[0]: there is no target 'calibrfy'; did you mean 'calibrify'?",
        ),
        ("  repeat: {critical: 4}\n", "column 22: alerts.repeat.critical: expected a duration"),
        ("  fold_above: 0\n", "column 15: alerts.fold_above: expected"),
    ],
)
def test_mistakes_are_reported_with_their_place(text, mistake):
    assert mistake in only_mistake(text)


@pytest.mark.parametrize(
    ("argument", "where"),
    [
        ("password: hunter2", "password"),
        ("slack_token: xoxb-1", "slack_token"),
        ("routing_key: abc", "routing_key"),
        ('headers: {Authorization: "Bearer abc"}', "headers.Authorization"),
        ('endpoint: "https://me:hunter2@example.org/"', "endpoint"),
        ('url: ["https://hooks.slack.com/services/T/B/xyz"]', "url[0]"),
    ],
)
def test_secrets_are_refused_and_not_repeated(argument, where):
    mistake = only_mistake(f"  critical:\n  - notifier: {SLACK}\n    {argument}\n")

    assert f"alerts.critical[0].{where}: secrets do not belong in this file" in mistake
    assert "hunter2" not in mistake
    assert "xyz" not in mistake


@pytest.mark.parametrize("argument", ["slack_conn_id: x", "username: Backstop", "to: a@example.org"])
def test_names_of_connections_and_people_are_no_secrets(argument):
    assert alerts_of(f"  critical:\n  - notifier: {SLACK}\n    {argument}\n").critical[0].arguments
