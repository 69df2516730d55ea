"""Standard streams: what goes where, and what happens when nobody reads."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
from datetime import timedelta

import pytest

from tests.cli.installation import CHECKOUT, in_a_process
from tests.making import STARTED

FIRST = "20261123T010000Z-dump"
SECOND = "20261124T010000Z-dump"


def test_a_reader_that_goes_away_is_no_error(installation, maker):
    near = maker()
    for day in range(30):
        near.publish(started_at=STARTED + timedelta(days=day))
    reader_gone = subprocess.Popen(
        [sys.executable, "-m", "backstop", "list", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=CHECKOUT,
        env={"PYTHONPATH": "plugins", "BACKSTOP_TARGETS": str(installation / "targets.yaml")},
    )
    reader_gone.stdout.close()
    said = reader_gone.stderr.read()
    reader_gone.stderr.close()

    assert reader_gone.wait() == 0
    assert said == "backstop: calibrify: read from near; not asked: far (--all asks every one)\n"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_goes_away_changes_neither_what_is_done_nor_the_exit_code(installation, maker, stream):
    maker("far").publish()
    damaged = installation / "near" / "calibrify" / "meta" / "manifests" / f"{FIRST}.json"
    maker("near").publish()
    damaged.write_text("damaged")
    out = installation / "out"
    codes = []
    # The first says on stderr that it passes a repository over; the second is to end with 4.
    for arguments in (["decrypt", "--label", FIRST, "--into", str(out)], ["list"]):
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [sys.executable, "-m", "backstop", *arguments],
            check=False,
            cwd=CHECKOUT,
            env={
                "PYTHONPATH": "plugins",
                "BACKSTOP_TARGETS": str(installation / "targets.yaml"),
                # As container images set it: the very first line finds that nobody reads.
                "PYTHONUNBUFFERED": "1",
            },
            **{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: writing},
        )
        os.close(writing)
        codes.append(done.returncode)

    assert codes == [0, 4]
    assert (out / "toc.dat").exists()


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_neither_what_is_done_nor_the_exit_code(installation, maker, closed):
    maker().publish()
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": "plugins",
        "BACKSTOP_TARGETS": str(installation / "targets.yaml"),
    }
    codes = [
        subprocess.run(
            ["sh", "-c", f'"$@" {closed}', "sh", sys.executable, "-m", "backstop", *arguments],
            check=False,
            cwd=CHECKOUT,
            env=environment,
            capture_output=True,
        ).returncode
        for arguments in (
            ["decrypt", "--label", "latest", "--into", str(installation / "out"), "--json"],
            ["show", "--label", SECOND, "--json"],
            ["list"],
        )
    ]

    assert codes == [0, 3, 0]
    assert (installation / "out" / "toc.dat").exists()


def test_nothing_but_the_result_goes_to_a_pipe(installation, maker):
    maker().publish()
    done = in_a_process(
        "decrypt", "--label", "latest", "--into", str(installation / "out"), "--json",
        BACKSTOP_TARGETS=str(installation / "targets.yaml"),
    )  # fmt: skip

    assert done.stderr == ""
    assert json.loads(done.stdout)["label"] == FIRST


def test_on_a_terminal_a_bar_shows_how_far_it_is(installation, maker):
    maker().publish(files={"1.dat": os.urandom(20_000_000)})
    terminal, other_end = pty.openpty()
    done = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "backstop",
            "decrypt",
            "--label",
            "latest",
            "--into",
            str(installation / "out"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=other_end,
        cwd=CHECKOUT,
        env={
            "PYTHONPATH": "plugins",
            "BACKSTOP_TARGETS": str(installation / "targets.yaml"),
            "TERM": "xterm",
            "COLUMNS": "100",
        },
    )
    os.close(other_end)
    shown = b""
    # A terminal whose program has ended reads as an error, not as an end.
    with contextlib.suppress(OSError):
        while block := os.read(terminal, 65536):
            shown += block
    os.close(terminal)

    assert done.wait() == 0
    assert b"fetch" in shown
    assert b"MB" in shown
