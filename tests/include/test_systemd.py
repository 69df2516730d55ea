"""The units that keep WAL and files safe: systemd understands them, and they may do little."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
UNIT = CHECKOUT / "include/systemd/backstop-archive-wal@.service"
FILES_UNIT = CHECKOUT / "include/systemd/backstop-watch-files@.service"


def settings(unit: Path = UNIT) -> dict[str, str]:
    lines = unit.read_text(encoding="utf-8").splitlines()
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


def test_the_service_for_files_may_read_them_all_and_write_nothing_but_spool_and_repository():
    unit = settings(FILES_UNIT)

    assert unit["CapabilityBoundingSet"] == unit["AmbientCapabilities"] == "CAP_DAC_READ_SEARCH"
    assert unit["NoNewPrivileges"] == "yes"
    assert unit["ProtectSystem"] == "strict"
    assert unit["ReadWritePaths"].split() == ["/var/lib/backstop", "-/var/backups/backstop"]
    assert unit["Restart"] == "always"


def test_the_instance_of_the_service_for_files_names_target_and_tree():
    """As systemd hands the line to the shell: %% is one %, $$ one $, %i the instance."""
    command = settings(FILES_UNIT)["ExecStart"]
    script = re.search(r"-c '(.*)' %i$", command)[1].replace("%%", "%").replace("$$", "$")
    script = re.sub(r"exec \S+", 'printf "%s\n"', script)

    done = subprocess.run(
        ["sh", "-c", script, "calibrify:config"], capture_output=True, text=True, check=True
    )

    said = done.stdout.split()
    assert said[said.index("--target") + 1] == "calibrify"
    assert said[said.index("--tree") + 1] == "config"


def test_the_manual_installs_the_service_for_files_in_two_lines():
    manual = (CHECKOUT / "docs/watching-files.md").read_text(encoding="utf-8")
    lines = re.findall(r"```\n(.*?)```", manual, re.DOTALL)[0]

    assert len(lines.splitlines()) == 2
    assert FILES_UNIT.name in lines


@pytest.mark.system
@pytest.mark.parametrize(
    ("unit", "instance"), [(UNIT, "calibrify"), (FILES_UNIT, "calibrify:config")], ids=["wal", "files"]
)
def test_systemd_understands_every_line_of_the_unit(tmp_path, unit, instance):
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed (Debian: package systemd)")
    # The program must exist for systemd; where it is installed is not this test's concern.
    text = re.sub(r"ExecStart=/opt\S+", f"ExecStart={sys.executable}", unit.read_text(encoding="utf-8"))
    file = tmp_path / unit.name.replace("@", f"@{instance}")
    file.write_text(text, encoding="utf-8")

    done = subprocess.run([analyze, "verify", "--man=no", str(file)], capture_output=True, text=True)

    complaints = [line for line in done.stderr.splitlines() if unit.name.partition("@")[0] in line]
    assert complaints == []
