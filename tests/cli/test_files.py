"""Files from the command line alone: back up, tell what changed, lose some, restore, go back."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backstop.cli.main import main

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host with a folder of configuration and units, and keys for its backups."""
    tree = tmp_path / "conf"
    (tree / "deep").mkdir(parents=True)
    (tree / "app.conf").write_text("port = 1\n")
    (tree / "deep" / "secret").write_text("secret\n")
    (tree / "deep" / "secret").chmod(0o600)
    (tmp_path / "units").mkdir()
    (tmp_path / "units" / "app-1.service").write_text("unit\n")
    targets = tmp_path / "targets.yaml"
    targets.write_text(
        f"""\
version: 1
keys:
  lab: {{storage: local, path: {tmp_path}/ring.json, signing: {tmp_path}/signing, escrow: {{waived: test}}}}
repositories:
  near: {{type: posix, path: {tmp_path}/near}}
  far: {{type: posix, path: {tmp_path}/far}}
targets:
  calibrify:
    keys: lab
    database: {{conn_id: lab_backup, dbname: calibrify, repositories: [near]}}
    trees:
      config:
        paths: [{tree}, "{tmp_path}/units/app*.service"]
        repositories: [near, far]
        on_change: {{settle: 1s, at_most: 5s, watcher: service}}
        spool: {tmp_path}/spool
        restore:
          after_restore: [[sh, -c, "echo reloaded; test ! -e {tmp_path}/refuse"]]
"""
    )
    monkeypatch.setenv("BACKSTOP_TARGETS", str(targets))
    monkeypatch.delenv("BACKSTOP_CREDENTIALS", raising=False)
    assert main(["init-keys"]) == 0
    return tmp_path


@pytest.fixture
def run(host, capsys):
    capsys.readouterr()

    def run(*argv, code=0):
        ended = main(argv)
        out, err = capsys.readouterr()
        assert ended == code, (out, err)
        return json.loads(out) if "--json" in argv and out else f"{out}{err}"

    return run


def back_up(run):
    report = run("back-up-files", "--json")
    time.sleep(1)  # a label has one second
    return report


def test_a_tree_is_backed_up_and_the_next_backup_says_what_has_changed(host, run):
    first = back_up(run)
    (host / "conf" / "app.conf").write_text("port = 2\n")
    (host / "conf" / "new").write_text("new\n")

    second = run("back-up-files")

    assert first["repositories"] == {"near": "completed", "far": "completed"}
    assert "1 new, 1 changed, 0 removed" in second
    assert f"changed {host}/conf/app.conf" in second
    listed = run("list")
    assert f"{first['label']}  tree" in listed
    assert "calibrify, files config" in run("show", "--label", first["label"])


def test_differences_and_the_history_of_a_file_are_told(host, run):
    first = back_up(run)
    (host / "conf" / "app.conf").write_text("port = 22\n")
    (host / "conf" / "deep" / "secret").unlink()
    second = run("back-up-files", "--json")

    told = run("diff-files")
    assert f"M {host}/conf/app.conf  content 9 -> 10 bytes" in told
    assert f"- {host}/conf/deep/secret" in told
    document = run("diff-files", "--before", second["label"], "--after", first["label"], "--json")
    assert {one["change"] for one in document["differences"]} == {"content", "added"}

    history = run("file-history", f"{host}/conf/deep/secret")
    assert f"{first['label']}  " in history
    assert "removed" in history
    assert [one["change"] for one in run("file-history", f"{host}/conf/app.conf", "--json")] == [
        "added",
        "content",
    ]
    assert "no backup of config has" in run("file-history", f"{host}/conf/never", code=3)


def test_a_lost_folder_comes_back_in_place_and_the_former_one_is_kept(host, run):
    label = back_up(run)["label"]
    shutil.rmtree(host / "conf" / "deep")
    (host / "conf" / "later").write_text("later\n")

    planned = run("restore-files", "--label", "latest", "--in-place", "--dry-run")
    assert "add 2, " in planned
    assert "delete 1" in planned
    assert f"deletes {host}/conf/later" in planned
    assert not (host / "conf" / "deep").exists()

    done = run("restore-files", "--label", label, "--in-place", "--yes", "--json")
    assert (host / "conf" / "deep" / "secret").read_text() == "secret\n"
    assert (host / "conf" / "deep" / "secret").stat().st_mode & 0o777 == 0o600
    assert not (host / "conf" / "later").exists()
    assert done["swap"]["commands"][0]["output"] == "reloaded"
    [kept] = [place for place in done["swap"]["kept"] if "/conf" in place]
    assert (Path(kept) / "later").read_text() == "later\n"

    assert "to put back" in run("restore-files", "--swap-back", "--dry-run")
    run("restore-files", "--swap-back", "--yes")
    assert (host / "conf" / "later").read_text() == "later\n"
    assert not (host / "conf" / "deep").exists()
    run("restore-files", "--swap-back", "--yes")
    assert (host / "conf" / "deep" / "secret").read_text() == "secret\n"


def test_single_files_of_a_time_go_elsewhere_and_nothing_live_is_touched(host, run):
    back_up(run)
    between = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    time.sleep(1)
    (host / "conf" / "app.conf").write_text("port = 2\n")
    back_up(run)

    run(
        "restore-files",
        "--at",
        between,
        "--path",
        f"{host}/conf/*.conf",
        "--to",
        f"{host}/elsewhere",
        "--yes",
    )

    found = [path for path in (host / "elsewhere").rglob("*") if path.is_file()]
    assert [path.read_text() for path in found] == ["port = 1\n"]
    assert (host / "conf" / "app.conf").read_text() == "port = 2\n"


def test_a_command_that_fails_after_the_swap_brings_the_former_files_back(host, run):
    back_up(run)
    (host / "conf" / "app.conf").write_text("port = 2\n")
    (host / "refuse").touch()

    told = run("restore-files", "--label", "latest", "--in-place", "--yes", code=1)

    assert "the former files are back" in told
    assert "reloaded" in told
    assert (host / "conf" / "app.conf").read_text() == "port = 2\n"


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["restore-files", "--in-place", "--yes"], "which backup?"),
        (["restore-files", "--label", "latest", "--yes"], "where to?"),
        (["restore-files", "--at", "yesterday", "--in-place"], "neither a backup's label nor a time"),
        (["restore-files", "--at", "latest", "--in-place"], "is no time"),
        (["restore-files", "--swap-back", "--label", "latest"], "leave out --label"),
        (["file-history", "conf"], "no absolute path"),
        (["check-files"], "has no `expected`"),
    ],
)
def test_what_cannot_be_meant_is_answered_with_what_can(run, argv, sentence):
    assert sentence in run(*argv, code=2)


def test_an_unknown_tree_and_a_backup_that_is_not_there_are_named(run):
    assert "did you mean 'config'" in run("back-up-files", "--tree", "confg", code=3)
    assert "there is no backup of config" in run(
        "restore-files", "--label", "latest", "--in-place", "--yes", code=3
    )
    assert "nothing is known here of a swap" in run("restore-files", "--swap-back", code=3)


def test_the_service_backs_up_each_change_once_and_ends_when_told_to(host, run):
    back_up(run)
    service = subprocess.Popen(
        [sys.executable, "-m", "backstop", "watch-files", "--tree", "config"],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "plugins")},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert service.stderr is not None
    try:
        assert "watching config of calibrify" in service.stderr.readline()
        for number in range(50):
            (host / "conf" / "app.conf").write_text(f"port = {number}\n")
            os.utime(host / "units" / "app-1.service")
        lines = [service.stderr.readline(), service.stderr.readline()]
        time.sleep(2)
    finally:
        service.send_signal(signal.SIGTERM)
        _, rest = service.communicate(timeout=20)

    assert f"1 changed: changed {host}/conf/app.conf" in lines[0]
    assert "-tree-config in near: completed, far: completed" in lines[1]
    assert (service.returncode, rest) == (0, "")


def test_the_service_can_tell_another_program_instead(host, run):
    service = subprocess.Popen(
        [sys.executable, "-m", "backstop", "watch-files", "--", "sh", "-c", f"cat >> {host}/told"],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "plugins")},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 20
    while not (host / "told").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    service.send_signal(signal.SIGTERM)
    service.communicate(timeout=20)

    told = json.loads((host / "told").read_text())
    assert (told["target"], told["tree"], told["sample"]) == (
        "calibrify",
        "config",
        ["there is no backup yet"],
    )
