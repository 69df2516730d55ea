"""What ``recover-from-disaster`` takes, refuses and ends with; on a target of which files are lost."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shutil
import subprocess
import sys
import threading

import pytest

from tests.cli.installation import CHECKOUT
from tests.lost_files import AS_IT_WAS, LostFiles, content

VERB = "recover-from-disaster"


@pytest.fixture
def lost(tmp_path, monkeypatch) -> LostFiles:
    return LostFiles(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--run", "--skip", "infrastructure"], "why is infrastructure left out"),
        (["--run", "--before", "2026-11-26T12:00:00Z"], "--before belongs to"),
        (["--status", "--redo", "record"], "belong to --run"),
        (["--choose", "newest", "--noticed-at", "2026-11-26T12:00:00Z"], "--noticed-at belongs to"),
        (["--run", "--component", "database"], "--component belongs to"),
        (["--declare", "x", "--before", "12:00"], "no time with its zone"),
    ],
)
def test_flags_that_contradict_each_other_are_refused_before_anything_is_done(lost, flags, said):
    _, err = lost.text(VERB, *flags, code=2)

    assert said in err
    assert lost.disasters().journal.incidents() == []


def test_without_an_incident_somebody_is_told_to_declare_one(lost):
    for flags in (["--status"], ["--options"], ["--choose", "newest"], ["--run"], ["--close", "over"]):
        error = lost.run(VERB, *flags, code=3)["error"]
        assert "no open incident" in error["message"]
        assert "--declare" in error["hint"]


def test_step_by_step_from_the_declaration_to_the_end(lost):
    shutil.rmtree(lost.media)
    declared = lost.run(VERB, "--declare", "the disk died")
    assert declared["what"] == "the disk died"
    assert lost.run(VERB, "--run", code=3)["error"]["message"].startswith("nothing is chosen")
    assert "tree:media" in lost.run(VERB, "--options")["lost"]
    lost.run(VERB, "--choose", "newest", "--component", "tree:media")
    assert lost.run(VERB, "--run", "--step", "recover:tree:media")["outcome"] == "passed"
    assert content(lost.media) == AS_IT_WAS

    text, _ = lost.text(VERB, "--run", "--yes", code=1)

    assert "back after" in text
    assert "4 h are allowed" in text
    status = lost.run(VERB, "--status", "--incident", declared["incident_id"])
    assert status["outcome"] == "not everything is back: dump"
    assert status["left"] == ["dump"]


def test_nobody_at_the_terminal_is_no_consent_and_nothing_is_touched(lost):
    shutil.rmtree(lost.media)

    _, err = lost.text(VERB, code=2)

    assert "nobody is at the terminal" in err
    assert not lost.media.exists()
    assert lost.run(VERB, "--status")["closed_at"] is None


def test_a_step_done_again_and_one_left_out_are_told(lost):
    shutil.rmtree(lost.media)
    lost.run(VERB, "--declare", "the disk died", "--component", "tree:media")
    lost.run(VERB, "--options")
    lost.run(VERB, "--choose", "newest", "--component", "tree:media")
    lost.run(VERB, "--run", "--step", "recover:tree:media")
    (lost.media / "a.jpg").write_text("since")

    why = ["--because", "the pager says it all"]
    status = lost.run(
        VERB, "--run", "--yes", "--redo", "recover:tree:media", "--skip", "tell:end", *why, code=1
    )

    assert content(lost.media) == AS_IT_WAS
    said = {one["step"]: one["sentence"] for one in status["steps"]}
    assert said["tell:end"].endswith("the pager says it all")


def test_while_somebody_watches_a_bar_the_result_goes_to_stdout_all_the_same(lost):
    shutil.rmtree(lost.media)
    for flags in (["--declare", "x", "--component", "tree:media"], ["--options"]):
        lost.run(VERB, *flags)
    lost.run(VERB, "--choose", "newest", "--component", "tree:media")
    ours, theirs = pty.openpty()
    argv = [sys.executable, "-m", "backstop", VERB, "--run", "--yes", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "plugins")}

    running = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=theirs, env=environment)
    os.close(theirs)
    watching = threading.Thread(target=drain, args=(ours,))
    watching.start()
    document, _ = running.communicate()
    watching.join()
    os.close(ours)

    assert json.loads(document)["left"] == ["dump"]


def drain(terminal: int) -> None:
    """As a terminal does."""
    with contextlib.suppress(OSError):  # how a terminal says that nobody writes any more
        while os.read(terminal, 65536):
            pass
