"""docs/monitoring.md: every check has its section."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from backstop.model.finding import CHECKS
from backstop.targets.alerts import Alerts

TEXT = (Path(__file__).parents[1] / "docs" / "monitoring.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### ([a-z-]+)\n\n(.*?)(?=\n##|\Z)", TEXT, flags=re.DOTALL | re.MULTILINE))


def test_every_check_has_its_section_in_the_order_of_the_code():
    assert list(SECTIONS) == list(CHECKS)


@pytest.mark.parametrize("check", CHECKS)
def test_a_section_says_what_holds_at_which_level_and_what_to_do(check):
    section = SECTIONS[check]
    said = " ".join(section.split())

    assert said.startswith(f"*{CHECKS[check][0].upper()}{CHECKS[check][1:]}.*")
    assert re.search(r"critical|warning", said, flags=re.IGNORECASE)
    assert len(section.split("\n\n")) > 1 or "`" in section


def test_the_example_of_alerts_is_valid():
    (example,) = re.findall(r"```yaml\n(alerts:.*?)```", TEXT, flags=re.DOTALL)
    alerts = Alerts.model_validate(yaml.safe_load(example)["alerts"])

    assert [len(alerts.critical), len(alerts.warning)] == [2, 1]
    assert alerts.warning[0].only == ["calibrify"]
