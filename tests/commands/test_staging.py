"""Staging is private, removed at the end, and swept after a killed run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from backstop.commands import staging
from backstop.commands.staging import staging_directory, sweep_staging
from backstop.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path


def test_the_folder_is_private_and_gone_even_after_a_failure(tmp_path: Path):
    with pytest.raises(RuntimeError), staging_directory(tmp_path / "staging", "run") as folder:  # noqa: PT012
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "file").write_bytes(b"x")
        raise RuntimeError("boom")

    assert not folder.exists()


def test_a_folder_that_cannot_be_emptied_is_left_to_the_next_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def broken(_folder: Path) -> None:
        raise RuntimeError("boom")

    with monkeypatch.context() as patch:
        patch.setattr(staging, "_remove", broken)
        with pytest.raises(RuntimeError), staging_directory(tmp_path / "staging", "run-12345678") as folder:
            pass

    assert sweep_staging(tmp_path / "staging") == [folder]


def test_what_a_killed_run_left_is_swept_and_a_running_one_is_not(tmp_path: Path):
    program = textwrap.dedent(
        f"""
        import sys, time, pathlib
        from backstop.commands.staging import staging_directory
        with staging_directory(pathlib.Path({str(tmp_path)!r}), "killed") as folder:
            (folder / "rows").write_bytes(b"x")
            print("ready", flush=True)
            time.sleep(60)
        """
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"

    assert sweep_staging(tmp_path) == []
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert [folder.name for folder in sweep_staging(tmp_path)] == ["killed"]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_a_run_killed_before_it_had_its_lock_is_swept_and_others_folders_are_not(tmp_path: Path):
    names = [
        "verify-20261123T010000Z-dump-0123abcd",
        "calibrify-0123456789abcdef",
        "somebody's",
        "full-0123abcd",
    ]
    for name in names:
        (tmp_path / name).mkdir()
    (tmp_path / "full-0123abcd" / "kept").write_bytes(b"x")

    assert {folder.name for folder in sweep_staging(tmp_path)} == set(names[:2])
    assert {folder.name for folder in tmp_path.iterdir()} == set(names[2:])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
def test_a_folder_that_another_user_made_first_is_not_used(tmp_path):
    parent = tmp_path / "backstop-staging"
    parent.mkdir()
    os.chown(parent, 12345, 12345)
    tmp_path.chmod(0o1777)

    with (
        pytest.raises(StorageError, match="belongs to another user"),
        staging_directory(parent, "run-12345678"),
    ):
        pass

    assert list(parent.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_users_run_is_left_alone_and_a_folder_that_is_not_for_us_is_named(tmp_path):
    parent = tmp_path / "staging"
    for above in [tmp_path, *tmp_path.parents[:-2]]:
        above.chmod(0o755)
    parent.mkdir()
    parent.chmod(0o777)
    with staging_directory(parent, "run-12345678") as folder:
        os.seteuid(12345)
        try:
            assert sweep_staging(parent) == []
        finally:
            os.seteuid(0)
        assert folder.is_dir()
    parent.chmod(0o700)
    os.seteuid(12345)
    try:
        with pytest.raises(StorageError, match=f"{parent} cannot be used: Permission denied"):
            sweep_staging(parent)
    finally:
        os.seteuid(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
def test_a_staging_folder_that_root_makes_belongs_to_the_owner_of_the_folder_it_lies_in(tmp_path):
    os.chown(tmp_path, 12345, 12345)

    with staging_directory(tmp_path / ".staging", "run-12345678"):
        pass

    assert (tmp_path / ".staging").stat().st_uid == 12345
