"""Signals that end a verb, and the one that does not."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.cli.installation import CHECKOUT, in_a_process


@pytest.mark.parametrize(
    ("first", "code"), [(signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_whatever_ends_a_verb_it_cleans_up_undisturbed(tmp_path, first, code):
    (tmp_path / "sitecustomize.py").write_text(
        "import time\n"
        "import backstop.cli.verbs.backups as verbs\n"
        "def endless(_):\n"
        "    try:\n        print('ready', flush=True)\n        time.sleep(60)\n"
        "    finally:\n        print('cleaning', flush=True)\n"
        "        time.sleep(1)\n        print('cleaned')\n"
        "verbs.list_backups = endless\n"
    )
    verb = subprocess.Popen(
        [sys.executable, "-m", "backstop", "list"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=CHECKOUT,
        env={"PYTHONPATH": f"{tmp_path}:plugins"},
        # Whoever runs the tests may have switched it off (nohup), and then it stays so.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )
    assert verb.stdout.readline() == "ready\n"
    verb.send_signal(first)
    assert verb.stdout.readline() == "cleaning\n"
    for following in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        verb.send_signal(following)
    out, _ = verb.communicate()

    assert out == "cleaned\n"
    assert verb.returncode == code


def test_a_verb_started_with_nohup_outlives_its_terminal(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "import backstop.cli.verbs.backups as verbs\n"
        "verbs.list_backups = lambda _: os.kill(os.getpid(), signal.SIGHUP) or 0\n"
    )

    assert in_a_process("list", PYTHONPATH=f"{tmp_path}:plugins").returncode == 0
