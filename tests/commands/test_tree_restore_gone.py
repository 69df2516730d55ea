"""The live tree is gone, and the folders above it: it comes back, and there is nothing to go back to."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from backstop.commands.trees.plan import TreeSwapError
from backstop.commands.trees.swaps import last_swap, remember_swap
from backstop.errors import RestoreError
from tests.commands.tree_restoring import Site, carry_out, snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.model.backup import BackupLabel


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    (site.media / "2026").mkdir()
    (site.media / "2026" / "photo.jpg").write_bytes(b"photo")
    return site


@pytest.fixture
def gone(site: Site) -> BackupLabel:
    """A backup of what was deleted since, with the folder it lay in."""
    label = site.back_up()
    shutil.rmtree(site.media.parent)
    return label


def test_a_tree_whose_folder_is_gone_with_those_above_comes_back_and_the_plan_says_so(site: Site) -> None:
    before = snapshot(site.media)
    label = site.back_up()
    shutil.rmtree(site.media.parent)
    restore = site.restore(label)

    plan = restore.plan()
    outcome = carry_out(restore)

    assert f"{site.media.parent} is not there and will be made" in plan.warnings
    assert snapshot(site.media) == before
    assert outcome.kept == ()


def test_nothing_appears_under_the_live_name_before_the_copy_was_compared(
    site: Site, gone: BackupLabel
) -> None:
    restore = site.restore(gone)

    restored = restore.restore_beside(restore.plan())
    assert not site.media.exists()
    assert restore.validate(restored) == ()
    assert not site.media.exists()
    restore.swap(restored)

    assert (site.media / "2026" / "photo.jpg").read_bytes() == b"photo"


def test_going_back_to_nothing_is_refused_and_the_restored_files_stay(site: Site, gone: BackupLabel) -> None:
    restore = site.restore(gone)
    outcome = carry_out(restore)
    remember_swap(site.folder / "scratch", "calibrify", "media", outcome)

    with pytest.raises(RestoreError, match="there is nothing to go back to"):
        restore.undo(outcome)
    with pytest.raises(RestoreError, match="there is nothing to go back to"):
        last_swap(site.folder / "scratch", "calibrify", "media")

    assert (site.media / "2026" / "photo.jpg").read_bytes() == b"photo"


def test_a_command_that_fails_afterwards_does_not_take_the_only_files_away(
    site: Site, gone: BackupLabel
) -> None:
    restore = site.restore(gone, after_restore=[["/bin/sh", "-c", "exit 3"]])

    with pytest.raises(TreeSwapError, match=r"restored files are live, but .* exited with 3") as failed:
        carry_out(restore)

    assert "nothing to go back to" in failed.value.hint
    assert (site.media / "2026" / "photo.jpg").read_bytes() == b"photo"
