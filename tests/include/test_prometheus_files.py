"""Alert rules, their tests, the example configuration and the dashboard."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from backstop.commands.metrics.series import SERIES
from backstop.model.finding import CHECKS

CHECKOUT = Path(__file__).resolve().parents[2]
PROMETHEUS = CHECKOUT / "include" / "prometheus"
NAMES = {one.name for one in SERIES}
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed: make test-deps")


def rules():
    groups = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def panels():
    return json.loads((CHECKOUT / "include" / "grafana" / "backstop.json").read_text())["panels"]


def expressions():
    return [target["expr"] for panel in panels() for target in panel.get("targets", ())]


def series_in(expression):
    """Names of metrics; what stands in quotation marks is a label's value."""
    return set(re.findall(r"\b(?:up|backup_\w+|backstop_\w+)\b", re.sub(r'"[^"]*"', "", expression)))


def promtool(*arguments, cwd=PROMETHEUS):
    return subprocess.run([PROMTOOL, *arguments], cwd=cwd, capture_output=True, text=True, check=False)


def test_the_rule_that_was_asked_for_is_there_as_it_was_asked_for():
    rule = rules()["BackupFailed"]

    assert (rule["expr"], rule["for"], rule["labels"]) == (
        "backup_status != 1",
        "1h",
        {"severity": "critical"},
    )


def test_alerts_use_only_series_that_there_are():
    used = set().union(*(series_in(rule["expr"]) for rule in rules().values()))

    assert used - {"up"} <= NAMES


def test_every_alert_says_what_is_wrong_what_to_do_and_where_to_read_on():
    for name, rule in rules().items():
        assert set(rule["annotations"]) == {"summary", "next_step", "runbook"}, name
        if set(rule["labels"]["severity"].split()) != {"{{", "$labels.level", "}}"}:
            assert rule["labels"]["severity"] in ("warning", "critical"), name


def test_every_check_of_the_watch_has_an_alert_that_leads_to_its_runbook():
    leads_to = {rule["annotations"]["runbook"] for rule in rules().values()}

    sections = re.findall(r"^### (\S+)$", (CHECKOUT / "docs" / "monitoring.md").read_text(), re.MULTILINE)

    assert leads_to == {f"docs/monitoring.md#{check}" for check in CHECKS}
    assert {one.partition("#")[2] for one in leads_to} <= set(sections)


def test_the_documentation_names_every_alert():
    text = (CHECKOUT / "docs" / "metrics.md").read_text()

    assert [name for name in rules() if f"`{name}`" not in text] == []


def test_the_dashboard_uses_only_series_that_there_are():
    used = set().union(*map(series_in, expressions()))

    assert used <= NAMES
    assert len(used) > len(NAMES) / 2


def test_no_two_panels_of_the_dashboard_share_a_number_or_a_place():
    placed = [one["gridPos"] for one in panels()]
    cells = [
        (x, y)
        for at in placed
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]

    assert len({one["id"] for one in panels()}) == len(placed)
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


def test_the_dashboard_asks_the_chosen_data_source():
    for panel in panels():
        for one in (panel, *panel.get("targets", ())):
            if panel["type"] != "row":
                assert one["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@pytest.mark.system
@needs_promtool
def test_promtool_finds_no_fault_with_the_rules():
    checked = promtool("check", "rules", "alerts.yml")

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"SUCCESS: {len(rules())} rules found" in checked.stdout


@pytest.mark.system
@needs_promtool
@pytest.mark.parametrize("file", ["alerts_test.yml", "alerts_slow_test.yml"])
def test_every_alert_fires_in_time_not_before_and_ends(file):
    tested = promtool("test", "rules", file)

    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_no_alert_is_left_untested():
    tests = [
        test
        for file in ("alerts_test.yml", "alerts_slow_test.yml")
        for group in yaml.safe_load((PROMETHEUS / file).read_text())["tests"]
        for test in group["alert_rule_test"]
    ]
    fires = {one["alertname"] for one in tests if one["exp_alerts"]}

    assert fires == set(rules())


@pytest.mark.system
@needs_promtool
def test_a_threshold_that_is_wrong_is_noticed(tmp_path):
    document = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())
    document["tests"] = [one for one in document["tests"] if "WatchStopped" in str(one["alert_rule_test"][0])]
    (tmp_path / "alerts_test.yml").write_text(yaml.safe_dump(document))
    wrong = (PROMETHEUS / "alerts.yml").read_text().replace("> 20 * 60", "> 40 * 60")
    (tmp_path / "alerts.yml").write_text(wrong)

    tested = promtool("test", "rules", "alerts_test.yml", cwd=tmp_path)

    assert tested.returncode != 0
    assert "WatchStopped" in tested.stdout + tested.stderr


@pytest.mark.system
@needs_promtool
def test_promtool_accepts_the_example_configuration(tmp_path):
    token = tmp_path / "token"
    token.write_text("secret")
    text = (PROMETHEUS / "prometheus.yml").read_text().replace("/etc/prometheus/backstop.token", str(token))
    (tmp_path / "prometheus.yml").write_text(text)
    shutil.copy(PROMETHEUS / "alerts.yml", tmp_path)

    checked = promtool("check", "config", "prometheus.yml", cwd=tmp_path)

    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.system
@needs_promtool
def test_prometheus_understands_every_expression_of_the_dashboard(tmp_path):
    queries = [
        {"record": f"panel:{number}", "expr": text.replace("$target", ".+")}
        for number, text in enumerate(expressions())
    ]
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": queries}]}))

    checked = promtool("check", "rules", "panels.yml", cwd=tmp_path)

    assert checked.returncode == 0, checked.stdout + checked.stderr
