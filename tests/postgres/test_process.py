from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest

from backstop.errors import ToolError
from backstop.postgres.process import run_tool

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}


def sh(script: str, **options) -> str:
    return run_tool(["/bin/sh", "-c", script], env=ENVIRONMENT, **options)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def running(program: Path) -> list[str]:
    """The processes that run this very file."""
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if process.name.isdigit() and (process / "exe").readlink() == program:
                found.append(process.name)
    return found


def test_output_comes_back_and_lines_of_stderr_are_handed_on():
    lines = []

    assert sh("echo out; echo one >&2; echo two >&2", on_line=lines.append) == "out\n"
    assert lines == ["one", "two"]


def test_a_failure_names_the_program_the_code_and_its_last_words():
    with pytest.raises(ToolError, match=r"sh exited with code 3: first \| last"):
        sh("echo first >&2; echo last >&2; exit 3")


def test_a_signal_is_named():
    with pytest.raises(ToolError, match="sh was killed by SIGKILL"):
        sh("kill -KILL $$")


def test_a_missing_program_is_named():
    with pytest.raises(ToolError, match="/nowhere/pg_dump cannot be run"):
        run_tool(["/nowhere/pg_dump"], env=ENVIRONMENT)


def test_more_stderr_than_a_pipe_holds_does_not_block_and_only_its_end_is_kept():
    with pytest.raises(ToolError) as caught:
        sh("i=0; while [ $i -lt 20000 ]; do echo line $i of many >&2; i=$((i+1)); done; exit 1", timeout=60)

    assert "line 19999" in str(caught.value)
    assert "line 100 " not in str(caught.value)


def test_standard_output_goes_to_a_new_private_file(tmp_path):
    path = tmp_path / "globals.sql"

    assert sh("echo CREATE ROLE", stdout_to=path) == ""
    assert path.read_text() == "CREATE ROLE\n"
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        sh("echo other", stdout_to=path)


@pytest.mark.parametrize("how", ["stop", "timeout", "listener", "interrupt"])
def test_however_it_is_stopped_nothing_of_the_program_is_left(tmp_path, how):
    pids = tmp_path / "pids"
    stop = threading.Event()
    script = f"trap '' TERM; sleep 100 & echo $$ $! > {pids}; echo started >&2; wait; wait"

    def listen(_line: str) -> None:
        if how == "stop":
            stop.set()
        elif how == "listener":
            raise ValueError("planted")
        elif how == "interrupt":
            os.kill(os.getpid(), signal.SIGINT)

    started = time.monotonic()
    expected = {"listener": ValueError, "interrupt": KeyboardInterrupt}.get(how, ToolError)
    with pytest.raises(expected):
        sh(script, stop=stop, timeout=3 if how == "timeout" else None, on_line=listen)

    assert time.monotonic() - started < 50  # of the 100 it would sleep
    # Killed, but the kernel may take a moment to have them gone.
    while any(alive(int(pid)) for pid in pids.read_text().split()):
        assert time.monotonic() - started < 50
        time.sleep(0.02)


def test_interrupted_at_any_moment_of_the_start_nothing_of_the_program_is_left(tmp_path):
    # Its own copy of a program, so that what is left of it can be told from everybody else's.
    sleeper = tmp_path / "sleeper"
    shutil.copy("/bin/sleep", sleeper)

    for trial in range(60):
        interruption = threading.Timer(trial * 0.0002, os.kill, (os.getpid(), signal.SIGINT))
        try:
            interruption.start()
            run_tool([str(sleeper), "100"], env=ENVIRONMENT)
        except KeyboardInterrupt:
            interruption.join()
        else:
            pytest.fail("the interrupt was lost")

    give_up = time.monotonic() + 50
    while left := running(sleeper):
        assert time.monotonic() < give_up, left
        time.sleep(0.02)


def test_a_child_that_outlives_the_program_does_not_outlive_the_call(tmp_path):
    pids = tmp_path / "pids"

    sh(f"sleep 100 & echo $! > {pids}")

    give_up = time.monotonic() + 20  # of the 100 it would sleep
    while alive(int(pids.read_text())):
        assert time.monotonic() < give_up
        time.sleep(0.02)


@pytest.mark.parametrize(
    "words",
    [
        "ALTER ROLE a PASSWORD 'geheim';",
        "ALTER ROLE a WITH LOGIN PASSWORD 'ge''heim geheim';",
        "CREATE ROLE a PASSWORD 'SCRAM-SHA-256$4096:geheim$geheim:geheim=';",
        "could not connect to postgresql://me:geheim@host/db",
        "SCRAM-SHA-256$4096:geheim",
        "Command was: CREATE SUBSCRIPTION s CONNECTION 'host=db password=geheim dbname=x' PUBLICATION p;",
        'error: COPY failed for table "t": ERROR:  invalid input syntax for type integer: "geheim"',
        'ERROR:  value "geheim" is out of range for type integer',
        "DETAIL:  Failing row contains (1, geheim).",
        "DETAIL:  Failing row contains (1, two\nlines: geheim).",
        "DETAIL:  Key (name)=(geheim) is duplicated.",
        'CONTEXT:  COPY t, line 7, column name: "geheim"',
        "CONTEXT:  SQL statement \"INSERT INTO t VALUES ('geheim')\"",
        "pg_restore: error: could not execute query: ERROR:  odd: geheim\nand geheim\nHINT:  not geheim\n"
        "CONTEXT:  PL/pgSQL function public.check_it(text) line 1 at RAISE",
    ],
)
def test_secrets_that_tools_quote_are_not_repeated(words):
    with pytest.raises(ToolError) as caught:
        run_tool(["/bin/sh", "-c", 'echo "$0" >&2; exit 1', words], env=ENVIRONMENT)

    assert "geheim" not in str(caught.value)


def test_what_helps_to_find_the_cause_is_kept():
    words = [
        'pg_restore: error: could not execute query: ERROR:  could not create unique index "t_key"',
        "DETAIL:  Key (name)=(geheim) is duplicated.",
        "Command was: ALTER TABLE ONLY public.t",
        "    ADD CONSTRAINT t_key UNIQUE (name);",
        'ERROR:  could not extend file "base/5/16400": No space left on device',
        'CONTEXT:  COPY t, line 7: "geheim"',
        "ERROR:  geheim",
        "CONTEXT:  PL/pgSQL function public.check_it(text) line 1 at RAISE",
    ]
    with pytest.raises(ToolError) as caught:
        run_tool(["/bin/sh", "-c", 'echo "$0" >&2; exit 1', "\n".join(words)], env=ENVIRONMENT)

    told = str(caught.value)
    for kept in (words[0], "Key (name)", words[2], words[3], words[4], "COPY t, line 7", words[7]):
        assert kept in told
    assert "geheim" not in told
