"""The target's own commands: each is run to its end, and none can keep a swap waiting longer than agreed."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backstop.commands.application import run_commands
from backstop.commands.database import swap as swap_module
from backstop.commands.database.swap import ApplicationCommands
from backstop.errors import CommandError

if TYPE_CHECKING:
    from backstop.postgres.swap import SwapReport

SOON = timedelta(seconds=10)


def sh(script: str) -> list[list[str]]:
    return [["/bin/sh", "-c", script]]


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return "gone"


def test_a_daemon_that_keeps_the_output_open_is_not_waited_for_and_lives_on(tmp_path: Path):
    pid = tmp_path / "pid"
    began = time.monotonic()

    run_commands(sh(f"sleep 60 & echo $! > {pid}"), purpose="start", timeout=SOON)

    assert time.monotonic() - began < 5
    daemon = int(pid.read_text())
    assert state(daemon) in "SR"
    run_commands(sh(f"kill {daemon}"), purpose="stop", timeout=SOON)


def test_a_command_that_hangs_is_ended_with_all_it_started(tmp_path: Path):
    pid = tmp_path / "pid"

    with pytest.raises(CommandError, match="did not end within"):
        run_commands(sh(f"sleep 60 & echo $! > {pid}; wait"), purpose="stop", timeout=timedelta(seconds=2))

    deadline = time.monotonic() + 10
    while state(int(pid.read_text())) not in ("gone", "Z"):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_command_that_fails_says_so_in_its_own_words():
    with pytest.raises(CommandError, match=r"(?s)stop command '/bin/sh' exited with 3: .*no such unit"):
        run_commands(sh("echo no such unit >&2; exit 3"), purpose="stop", timeout=SOON)


def test_a_command_that_is_not_there_is_named():
    with pytest.raises(CommandError, match="/nowhere/stop"):
        run_commands([["/nowhere/stop"]], purpose="stop", timeout=SOON)


def test_a_command_gets_none_of_our_own_settings(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql://airflow:geheim@db/airflow")
    monkeypatch.setenv("BACKSTOP_CREDENTIALS", "/etc/backstop/credentials.json")

    run_commands(
        sh('test -n "$PATH" && test -z "$AIRFLOW__DATABASE__SQL_ALCHEMY_CONN$BACKSTOP_CREDENTIALS"'),
        purpose="probe",
        timeout=SOON,
    )


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), SystemExit(143), RuntimeError("lost")])
def test_whatever_ends_a_swap_the_application_is_started_again(tmp_path: Path, interruption: BaseException):
    told = tmp_path / "told"
    application = ApplicationCommands(stop=sh(f"echo stop >> {told}"), start=sh(f"echo start >> {told}"))

    def rename() -> SwapReport:
        raise interruption

    with pytest.raises(type(interruption)):
        swap_module._swapped(rename, live="calibrify", application=application, live_exists=True)

    assert told.read_text().split() == ["stop", "start"]
