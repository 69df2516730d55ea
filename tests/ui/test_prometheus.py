"""The real Prometheus scrapes the real endpoint, and every alert fires from its cause and ends with it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from tests.prometheus_server import PROGRAM, RULES, PrometheusServer
from tests.ui.metrics_site import TOKEN, MetricsSite
from tests.ui.planted_causes import planted
from tests.ui.served import running
from tests.watched import well

pytestmark = [
    pytest.mark.integration,
    pytest.mark.system,
    pytest.mark.skipif(PROGRAM is None, reason="Prometheus is not installed: make test-deps"),
]
DASHBOARD = Path(__file__).resolve().parents[2] / "include" / "grafana" / "backstop.json"


def test_every_alert_fires_from_its_cause_and_resolves_when_it_is_mended(database, tmp_path):
    site = MetricsSite(database, tmp_path / "token")
    site.clock = lambda: datetime.now(timezone.utc)
    causes = planted(site.clock())
    site.targets = [one.target for one in causes]
    fleet = [well(name, now=site.clock()) for name in site.targets]
    expected = {(alert, one.target) for one in causes for alert in one.alerts}
    seen: set[str] = set()

    with (
        running(site.app) as address,
        PrometheusServer(tmp_path / "prometheus", address=urlsplit(address).netloc, token=TOKEN) as it,
    ):

        def fires(what):
            it.wait_until(lambda: it.alerts() == what, lambda: it.alerts() ^ what)
            seen.update(name for name, _ in what)

        site.show(fleet)
        it.wait_until(lambda: bool(it.query("backup_status == 1")), lambda: "nothing was scraped")
        # What would fire has been pending for longer than a second by then.
        settled = datetime.now(timezone.utc) + timedelta(seconds=2)
        it.wait_until(lambda: it.evaluated_since(settled), lambda: "the rules are not evaluated")
        assert it.alerts() == set()

        site.show(
            [one.look for one in causes if one.look], [found for one in causes for found in one.findings]
        )
        fires(expected)
        assert [panel for panel, expression in shown() if not it.query(expression)] == []

        site.show(fleet)
        fires(set())

        site.disappear()
        fires({("MetricsDown", "")})
        assert it.query("backup_status") == []
        site.reappear()
        fires(set())

        site.show([])
        fires({("NeverWatched", "")} | {("TargetNotWatched", name) for name in site.targets})
        site.show(fleet)
        fires(set())

    assert seen == {rule["alert"] for rule in rules()}


def shown():
    """Titles and expressions of the dashboard, for every target."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"].replace("$target", ".+")


def rules():
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
