"""The unit that keeps WAL flowing: systemd understands it, and it may do little."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
UNIT = CHECKOUT / "include/systemd/backstop-archive-wal@.service"


def settings() -> dict[str, str]:
    lines = UNIT.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def test_the_service_runs_as_its_own_user_with_nothing_but_spool_and_repository_to_write_to():
    unit = settings()

    assert unit["User"] == "backstop"
    assert unit["NoNewPrivileges"] == "yes"
    assert unit["ProtectSystem"] == "strict"
    assert unit["CapabilityBoundingSet"] == ""
    assert unit["ReadWritePaths"].split() == ["/var/lib/backstop", "-/var/backups/backstop"]


def test_the_service_comes_back_whatever_ended_it_and_is_told_no_secret():
    unit = settings()

    assert unit["Restart"] == "always"
    assert unit["StartLimitIntervalSec"] == "0"
    assert unit["ExecStart"].endswith("-m backstop archive-wal --target %i")
    assert "Environment" not in unit


def test_the_manual_installs_it_in_five_lines():
    manual = (CHECKOUT / "docs/wal-service.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"```\n(.*?)```", manual, re.DOTALL)

    assert len(lines.splitlines()) == 5
    assert UNIT.name in lines


@pytest.mark.system
def test_systemd_understands_every_line_of_the_unit(tmp_path):
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed (Debian: package systemd)")
    # The program must exist for systemd; where it is installed is not this test's concern.
    text = re.sub(r"ExecStart=\S+", f"ExecStart={sys.executable}", UNIT.read_text(encoding="utf-8"))
    instance = tmp_path / "backstop-archive-wal@calibrify.service"
    instance.write_text(text, encoding="utf-8")

    done = subprocess.run([analyze, "verify", "--man=no", str(instance)], capture_output=True, text=True)

    complaints = [line for line in done.stderr.splitlines() if "backstop-archive-wal" in line]
    assert complaints == []
