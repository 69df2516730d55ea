"""A section that needs no server, followed line by line each time the tests run; the others are `long`."""

from __future__ import annotations

import shlex
import shutil
import time
from typing import TYPE_CHECKING

import pytest

from backstop.cli.main import main
from tests.runbook.following import follow, replacing

if TYPE_CHECKING:
    from pathlib import Path

GOOD, BROKEN = "port: 8080\n", "port: many\n"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the page, on a host with a tree ``config``."""
    file = tmp_path / "opt/calibrify/config/calibrify.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(GOOD)
    targets = tmp_path / "targets.yaml"
    targets.write_text(
        f"""\
version: 1
keys:
  lab: {{storage: local, path: {tmp_path}/ring.json, signing: {tmp_path}/signing, escrow: {{waived: test}}}}
repositories:
  near: {{type: posix, path: {tmp_path}/near}}
targets:
  calibrify:
    keys: lab
    database: {{conn_id: lab_backup, dbname: calibrify, repositories: [near]}}
    trees:
      config: {{paths: [{file.parent}], spool: {tmp_path}/spool}}
      media: {{paths: [{tmp_path}/media], spool: {tmp_path}/spool}}
"""
    )
    monkeypatch.setenv("BACKSTOP_TARGETS", str(targets))
    monkeypatch.delenv("BACKSTOP_CREDENTIALS", raising=False)
    assert main(["init-keys"]) == 0
    assert main(["back-up-files", "--tree", "config"]) == 0
    return file


def test_a_broken_configuration_file_comes_back_by_the_lines_of_the_page(
    settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["list"]) == 0
    [good] = [word for word in capsys.readouterr().out.split() if word.endswith("-tree-config")]
    time.sleep(1)  # a label has one second
    settings.write_text(BROKEN)
    assert main(["back-up-files", "--tree", "config"]) == 0
    exported: dict[str, str] = {}

    def run(line: str) -> tuple[int, str]:
        capsys.readouterr()
        if line.startswith("export "):
            name, _, value = line.removeprefix("export ").partition("=")
            exported[f'"${name}"'] = value
            return 0, ""
        for name, value in exported.items():
            line = line.replace(name, value)
        code = main(shlex.split(line.removeprefix("python -m backstop ")))
        return code, "".join(capsys.readouterr())

    in_place = "python -m backstop restore-files --target calibrify --tree config"
    said = follow(
        "A configuration file was broken",
        run,
        words=replacing(
            {"/opt/calibrify": str(tmp_path / "opt/calibrify"), "20261123T020000Z-tree-config": good}
        ),
        meanwhile={
            f"{in_place} --swap-back": lambda: _expect(settings, GOOD),
            f"{in_place} --label latest --in-place --dry-run": lambda: _lose_all(settings),
        },
    )

    assert "content" in said[0]
    assert settings.read_text() == BROKEN, "the newest backup is what is broken; B says so"


def _expect(file: Path, text: str) -> None:
    assert file.read_text() == text


def _lose_all(file: Path) -> None:
    _expect(file, BROKEN)
    shutil.rmtree(file.parent)
