"""What can go wrong before and around the servers of the embedded stack."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from embedded.__main__ import main
from embedded.configuration import create_keys, variables, write_environment, write_targets
from embedded.errors import StackError
from embedded.home import CHECKOUT, Home
from embedded.postgres import EmbeddedPostgres, pip_postgres_bin
from embedded.process import ProcessRecord, end_remnants, process_identity, spawn
from embedded.stack import Stack
from embedded.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for name in [name for name in os.environ if name.startswith("BACKSTOP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("BACKSTOP_HOME", str(tmp_path / "home"))
    return Home.from_environment()


def test_a_second_up_is_told_who_is_at_work(home: Home) -> None:
    home.prepare(needed_bytes=0)
    holder = subprocess.Popen(
        [sys.executable, "-c", "import sys; from embedded.home import Home\n"
         "with Home.from_environment().lock(): print('held', flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "plugins")},
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    try:
        with pytest.raises(StackError, match=f"at work in .* \\(process {holder.pid}\\)"), home.lock():
            pass
    finally:
        holder.communicate()

    with home.lock():
        pass  # its holder has ended, so the lock is free


def test_a_nearly_full_disk_is_named_before_anything_is_started(home: Home) -> None:
    with pytest.raises(StackError, match=r"has only .* MB free.*BACKSTOP_HOME"):
        home.prepare(needed_bytes=10**18)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder somebody else's")
def test_somebody_elses_home_is_refused(home: Home) -> None:
    home.root.mkdir()
    os.chown(home.root, 12345, -1)

    with pytest.raises(StackError, match=r"belongs to user 12345, and you are user root"):
        home.prepare()


@pytest.mark.parametrize("text", ["http", "0", "70000", "-1"])
def test_a_port_variable_that_is_no_port_is_named(
    home: Home, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BACKSTOP_S3_PORT", text)

    assert main(["up"]) == 1
    assert f"BACKSTOP_S3_PORT={text} is no port number" in capsys.readouterr().err


def test_a_drill_of_a_stack_that_does_not_run_says_what_to_start(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["drill"]) == 1

    said = capsys.readouterr().err
    assert said.startswith("error: the stack does not run: postgres (metadata), ")
    assert "next: `make up`" in said
    assert not home.root.exists()


def test_a_folder_without_postgresql_is_named(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("BACKSTOP_PG_BIN", str(tmp_path))

    assert main(["up"]) == 1
    assert f"{tmp_path} has no initdb" in capsys.readouterr().err


def test_status_and_down_work_before_the_first_up(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--json"]) == 1
    assert {part["health"] for part in json.loads(capsys.readouterr().out)} == {"stopped"}

    assert main(["down"]) == 0
    assert not home.root.exists()


def test_wipe_refuses_a_folder_that_is_not_ours(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.root.mkdir()
    (home.root / "thesis.tex").touch()

    assert main(["wipe"]) == 1
    assert (home.root / "thesis.tex").exists()


def test_a_pid_file_from_before_a_reboot_is_not_believed(tmp_path: Path) -> None:
    mine = ProcessRecord.of(os.getpid())
    assert mine is not None
    path = tmp_path / "pid.json"
    mine.write(path)
    assert ProcessRecord.read(path) == mine

    # After the boot the same pid belongs to a process that started at another time.
    ProcessRecord(os.getpid(), f"another-boot:{mine.identity}").write(path)

    assert ProcessRecord.read(path) is None


def test_a_cut_pid_file_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "pid.json").write_text('{"pid": 1')

    assert ProcessRecord.read(tmp_path / "pid.json") is None


def test_a_zombie_is_no_running_process() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert process_identity(child.pid) is None
    child.wait()


def test_a_process_whose_first_thread_alone_has_ended_still_runs() -> None:
    """It shows as a zombie, as one that is being killed does for a moment; its ports are still taken."""
    code = (
        "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(600,)).start();"
        "ctypes.CDLL(None).pthread_exit(None)"
    )
    child = subprocess.Popen([sys.executable, "-c", code])
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)

    assert process_identity(child.pid) is not None
    child.kill()
    child.wait()


def test_the_generated_targets_are_valid_and_name_this_stacks_places(home: Home) -> None:
    from backstop.targets import load_targets

    home.prepare(needed_bytes=0)
    write_targets(home.targets, home, "http://127.0.0.1:8333")

    configuration = load_targets(home.targets)

    target = configuration.targets["calibrify"]
    assert target.database.conn_id == "calibrify_backup"
    assert target.cluster is not None
    assert target.cluster.recovery is not None
    assert target.cluster.recovery.directory == home.recovered
    assert target.cluster.recovery.cutover is not None
    assert target.cluster.recovery.cutover.data_directory == home.protected / "data"
    assert str(configuration.repositories["local"].path) == str(home.repository)  # type: ignore[union-attr]


def test_keys_are_made_once(home: Home) -> None:
    home.prepare(needed_bytes=0)

    assert create_keys(home)
    before = home.keyring.read_bytes()

    assert not create_keys(home)
    assert home.keyring.read_bytes() == before


def test_every_file_with_a_secret_is_closed_to_others(home: Home) -> None:
    home.prepare(needed_bytes=0)
    create_keys(home)
    write_environment(home)

    open_to_others = [
        path
        for path in home.root.rglob("*")
        if path.is_file() and path.stat().st_mode & 0o077 and path.stat().st_size
    ]
    assert [path for path in open_to_others if path.name != "trusted.json"] == []


def test_users_own_targets_are_what_airflow_sees(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKSTOP_TARGETS", "/srv/targets.yaml")

    assert variables(home)["BACKSTOP_TARGETS"] == "/srv/targets.yaml"


def test_a_step_says_how_long_it_took_and_a_failed_one_is_marked() -> None:
    output = io.StringIO()
    steps = Steps(output)

    with steps.step("good") as step:
        step.result = "done"
    with pytest.raises(ValueError, match="why"), steps.step("bad"):
        raise ValueError("why")

    assert re.search(r"✓ good +\d+\.\d s  done\n✗ bad\n", output.getvalue())


def test_what_a_killed_process_left_running_is_ended(tmp_path: Path) -> None:
    leader = spawn(
        ["sh", "-c", "sleep 60 & sleep 60"], log=tmp_path / "log", env={"PATH": os.environ["PATH"]}
    )
    record = ProcessRecord.of(leader.pid)
    assert record is not None
    record.write(tmp_path / "pid.json")
    children = wait_for(lambda: psutil.Process(leader.pid).children())
    leader.kill()
    leader.wait()
    assert all(child.is_running() for child in children)

    end_remnants(tmp_path / "pid.json")

    assert not any(child.is_running() and child.status() != "zombie" for child in children)
    assert not (tmp_path / "pid.json").exists()


def wait_for(get: Callable[[], list[psutil.Process]]) -> list[psutil.Process]:
    deadline = time.monotonic() + 5
    while not (found := get()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


@pytest.mark.integration
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk to fill")
def test_a_disk_that_fills_during_the_start_is_named_and_the_next_start_succeeds(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", disk], check=False)
    if mounted.returncode != 0:
        pytest.skip("this root may not mount")
    server = EmbeddedPostgres(disk / "pg", bin_dir=pip_postgres_bin(18), durable=False, die_with_parent=True)
    try:
        with pytest.raises(StackError, match="the disk is full: free some space"):
            server.start()

        subprocess.run(["mount", "-o", "remount,size=200m", disk], check=True)
        with server:
            server.connect().close()
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.airflow
@pytest.mark.integration
# Every run of the Airflow tests brings the same stack up and down; a second one beside it slows all of them.
@pytest.mark.long
def test_the_whole_stack_comes_up_survives_a_killed_scheduler_and_goes_down(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        assert main(["up"]) == 0
        # On a busy machine an answer may take longer than `status` waits.
        give_up = time.monotonic() + 60
        while main(["status"]) != 0:
            assert time.monotonic() < give_up
        airflow = Stack(home).airflow()
        scheduler = airflow.pid("scheduler")
        assert scheduler is not None
        os.kill(scheduler, signal.SIGKILL)

        assert main(["up"]) == 0

        assert airflow.pid("scheduler") not in (None, scheduler)
        assert main(["status"]) == 0
        assert airflow.token("approver")
        said = capsys.readouterr()
        for secret in [*airflow.passwords().values(), Stack(home).seaweedfs.secret_key]:
            assert secret not in said.out + said.err
    finally:
        assert main(["down"]) == 0
    assert {part.health for part in Stack(home).status()} == {"stopped"}
