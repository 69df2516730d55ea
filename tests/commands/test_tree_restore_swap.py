"""After the swap the services are told; when they do not take it, the former files come back."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from backstop.commands.trees.area import Area, Journal
from backstop.commands.trees.plan import TreeSwapError
from backstop.errors import RestoreError, StorageFullError
from backstop.files import exchange
from tests.commands.tree_restoring import STAMP, Site, carry_out, snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.model.backup import BackupLabel


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    (site.media / "a.conf").write_text("good")
    (site.media / "b.conf").write_text("good")
    return site


@pytest.fixture
def label(site: Site) -> BackupLabel:
    label = site.back_up()
    for name in ("a.conf", "b.conf"):
        (site.media / name).write_text("spoiled")
    return label


def sh(script: str) -> list[list[str]]:
    return [["/bin/sh", "-c", script]]


def test_commands_run_after_the_swap_and_their_output_is_kept(site: Site, label: BackupLabel) -> None:
    outcome = carry_out(site.restore(label, after_restore=sh(f"cat {site.media}/a.conf; echo ' reloaded'")))

    assert outcome.commands[0].output == "good reloaded"
    assert not outcome.undone


def test_after_a_failed_command_the_former_files_are_back_and_the_services_told_again(
    site: Site, label: BackupLabel
) -> None:
    spoiled = snapshot(site.media)
    log = site.folder / "log"
    command = sh(f"cat {site.media}/a.conf >> {log}; echo no such unit; grep -q spoiled {site.media}/a.conf")

    with pytest.raises(
        TreeSwapError,
        match=r"(?s)former files are back, because .*after_restore.*exited with 1: no such unit",
    ) as caught:
        carry_out(site.restore(label, after_restore=command))

    assert snapshot(site.media) == spoiled
    assert log.read_text() == "goodspoiled"
    assert caught.value.outcome.undone
    assert "exited with 1" in caught.value.outcome.failure
    [restored] = caught.value.outcome.kept
    assert restored == f"{site.media}.before-{STAMP}-1"
    assert (site.media.parent / f"media.before-{STAMP}-1" / "a.conf").read_text() == "good"


def test_without_undo_on_failure_the_restored_files_stay_and_the_way_back_is_offered(
    site: Site, label: BackupLabel
) -> None:
    restore = site.restore(label, after_restore=sh("exit 3"), undo_on_failure=False)

    with pytest.raises(TreeSwapError, match=r"restored files are live, but .* exited with 3") as caught:
        carry_out(restore)

    assert (site.media / "a.conf").read_text() == "good"
    assert f"{site.media}.before-{STAMP}" in caught.value.hint
    site.restore(label).undo(caught.value.outcome)
    assert (site.media / "a.conf").read_text() == "spoiled"


def test_a_command_that_does_not_end_is_killed_and_counts_as_failed(site: Site, label: BackupLabel) -> None:
    restore = site.restore(label, after_restore=sh("sleep 60"), timeout=timedelta(seconds=0.2))

    with pytest.raises(TreeSwapError, match=r"did not end within 0:00:00.2"):
        carry_out(restore)

    assert (site.media / "a.conf").read_text() == "spoiled"


def test_undoing_an_undo_brings_the_restored_files_back(site: Site, label: BackupLabel) -> None:
    restore = site.restore(label)
    outcome = carry_out(restore, only=[str(site.media / "a.conf"), str(site.media / "b.conf")])
    back = restore.undo(outcome)
    assert (site.media / "b.conf").read_text() == "spoiled"

    again = restore.undo(back)

    assert (site.media / "a.conf").read_text() == "good"
    assert (back.undone, again.undone) == (True, False)


def test_undo_takes_away_what_was_added_and_brings_back_what_was_taken_away(site: Site) -> None:
    label = site.back_up()
    (site.media / "a.conf").unlink()
    (site.media / "c.conf").write_text("new")
    before = snapshot(site.media)
    restore = site.restore(label)

    outcome = carry_out(restore, only=[str(site.media / "*.conf")])
    assert sorted(path.name for path in site.media.glob("*.conf")) == ["a.conf", "b.conf"]
    restore.undo(outcome)

    assert {name: what for name, what in snapshot(site.media).items() if not name.startswith(".")} == before


def test_an_undo_that_was_cut_short_can_be_run_again(
    site: Site, label: BackupLabel, monkeypatch: pytest.MonkeyPatch
) -> None:
    restore = site.restore(label)
    outcome = carry_out(restore, only=[str(site.media / "a.conf"), str(site.media / "b.conf")])
    moves: list[bytes] = []

    def second_fails(source: int, name: bytes, destination: int, new_name: bytes) -> None:
        moves.append(name)
        if len(moves) == 2:
            raise OSError(5, "Input/output error")
        os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=destination)

    with monkeypatch.context() as patch:
        patch.setattr("backstop.commands.trees.swap.move", second_fails)
        with pytest.raises(RestoreError, match="cannot be put back"):
            restore.undo(outcome)
    restore.undo(outcome)

    assert [(site.media / name).read_text() for name in ("a.conf", "b.conf")] == ["spoiled", "spoiled"]


def test_a_name_that_cannot_be_exchanged_takes_the_others_back(
    site: Site, label: BackupLabel, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = snapshot(site.media)
    restore = site.restore(label)
    restored = restore.restore_beside(restore.plan(only=[str(site.media / "*.conf")]))
    restore.validate(restored)
    real = exchange.replace

    def fail_second(live: int, staging: int, one: exchange.Replacement) -> bool:
        if one.name == b"b.conf":
            raise OSError(1, "Operation not permitted")
        return real(live, staging, one)

    monkeypatch.setattr(exchange, "replace", fail_second)
    with pytest.raises(RestoreError, match="cannot be written to: Operation not permitted"):
        restore.swap(restored)
    monkeypatch.undo()

    assert {k: v for k, v in snapshot(site.media).items() if "backstop" not in k} == before
    restore.swap(restored)
    assert (site.media / "b.conf").read_text() == "good"


@pytest.mark.parametrize("only", [(), ("a.conf", "b.conf")], ids=["folder", "files"])
def test_a_file_system_without_exchange_is_swapped_by_two_renames(
    site: Site, label: BackupLabel, monkeypatch: pytest.MonkeyPatch, only: tuple[str, ...]
) -> None:
    monkeypatch.setattr("backstop.files.exchange.exchanged", lambda *_: False)
    monkeypatch.setattr("backstop.commands.trees.swap.exchanged", lambda *_: False)
    restore = site.restore(label)

    outcome = carry_out(restore, only=[str(site.media / name) for name in only])
    assert [(site.media / name).read_text() for name in ("a.conf", "b.conf")] == ["good", "good"]
    restore.undo(outcome)

    assert [(site.media / name).read_text() for name in ("a.conf", "b.conf")] == ["spoiled", "spoiled"]


def test_a_swap_that_leaves_rubbish_behind_still_tells_the_way_back(
    site: Site, label: BackupLabel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: bytes) -> None:
        raise OSError(16, "Device or resource busy")

    restore = site.restore(label)
    with monkeypatch.context() as patch:
        patch.setattr("backstop.commands.trees.area.remove_tree", refused)
        outcome = carry_out(restore)
    assert (site.media / "a.conf").read_text() == "good"
    restore.undo(outcome)

    assert (site.media / "a.conf").read_text() == "spoiled"


@pytest.mark.parametrize("step", ["exchanged", "move", "rename", "link"])
@pytest.mark.parametrize("number", [1, 2])
def test_a_swap_that_is_stopped_between_two_steps_loses_no_live_file(
    site: Site, label: BackupLabel, monkeypatch: pytest.MonkeyPatch, step: str, number: int
) -> None:
    where = os if step in ("rename", "link") else exchange
    before = snapshot(site.media)
    restore = site.restore(label)
    only = [str(site.media / "*.conf")]
    restored = restore.restore_beside(restore.plan(only=only))
    restore.validate(restored)
    real, calls = getattr(where, step), []

    def stopped(*arguments: object, **options: object) -> object:
        result = real(*arguments, **options)
        if where is exchange or str(arguments[0]).endswith("conf'"):  # the journal is renamed too
            calls.append(arguments)
        if len(calls) == number:
            raise KeyboardInterrupt
        return result

    with monkeypatch.context() as patch:
        if where is os:
            patch.setattr(exchange, "exchanged", lambda *_: False)
        patch.setattr(where, step, stopped)
        with pytest.raises(KeyboardInterrupt):
            restore.swap(restored)
    restore.discard(restored)

    assert {k: v for k, v in snapshot(site.media).items() if v != "0o40700"} == before


@pytest.mark.parametrize("name", ["a.conf", "new.conf"])
def test_an_undo_without_the_former_file_is_no_success(site: Site, label: BackupLabel, name: str) -> None:
    (site.media / "new.conf").write_text("new")
    restore = site.restore(label)
    outcome = carry_out(restore, only=[str(site.media / "*.conf")])
    (site.media / f".{name}.before-{STAMP}").unlink()

    with pytest.raises(RestoreError, match=rf"{name} cannot be put back: what it had replaced is gone"):
        restore.undo(outcome)

    assert (site.media / "a.conf").read_text() == ("good" if name == "a.conf" else "spoiled")
    assert (site.media / "b.conf").read_text() == "spoiled"


def test_a_full_disk_at_the_swap_is_told_as_that_and_the_swap_can_be_tried_again(
    site: Site, label: BackupLabel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(area: Area, journal: Journal) -> None:
        raise OSError(28, "No space left on device")

    restore = site.restore(label)
    restored = restore.restore_beside(restore.plan())
    restore.validate(restored)
    with monkeypatch.context() as patch:
        patch.setattr(Area, "write", full)
        with pytest.raises(StorageFullError, match="no space left"):
            restore.swap(restored)
    assert (site.media / "a.conf").read_text() == "spoiled"

    restore.swap(restored)

    assert (site.media / "a.conf").read_text() == "good"


def test_a_glob_takes_nothing_away_below_a_folder_that_the_tree_leaves_out(site: Site) -> None:
    for folder in ("cache", "kept"):
        (site.media / folder).mkdir()
        (site.media / folder / "x").write_text("x")
    maker = site.tree()
    listed = [one for one in maker.scan([bytes(site.media)[1:]]) if b"/cache" not in one.path]
    label = maker.publish(listed, roots=[str(site.media)], exclude=("cache",)).manifest.label

    carry_out(site.restore(label), only=[str(site.media / "*" / "x")])

    assert (site.media / "cache" / "x").read_text() == "x"
