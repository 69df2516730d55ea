"""What back-up-files stores, restore-files brings back: all that a file system has, judged by rsync."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from backstop.commands.progress import Silent
from backstop.commands.trees.restore import TreeRestore
from backstop.commands.trees.settings import TreeRestoreSettings
from backstop.model.backup import BackupLabel
from backstop.storage.posix import PosixStorage
from tests.commands.tree_restoring import carry_out
from tests.fidelity.trees import ROOT, make_everything, needs_acl, needs_rsync, rsync_differences
from tests.trees import ProtectedTree

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.system, needs_rsync, needs_acl]


def test_everything_that_is_backed_up_comes_back_also_from_a_second_backup(tmp_path: Path) -> None:
    tree = ProtectedTree(tmp_path, {"local": PosixStorage(tmp_path / "local")})
    tree.source.rmdir()
    make_everything(tree.source, as_root=ROOT)
    # Names of a link itself are kept as links of their own.
    (tree.source / "links" / "link of a link").unlink()
    tree.back_up()
    (tree.source / "small").write_bytes(b"changed since the first backup")
    (tree.source / "many" / "7.txt").unlink()
    label = BackupLabel(str(tree.back_up().label))
    shutil.move(tree.source, tmp_path / "original")

    restore = TreeRestore(
        repository=tree.repository(),
        label=label,
        keyring=tree.keyring,
        settings=TreeRestoreSettings(scratch=tmp_path / "staging", patterns=(str(tree.source),)),
        clock=tree.clock,
        progress=Silent(),
    )
    carry_out(restore)

    assert rsync_differences(tmp_path / "original", tree.source) == ""
    assert rsync_differences(tree.source, tmp_path / "original") == ""


def test_what_restores_leave_is_no_part_of_the_next_backup(tmp_path: Path) -> None:
    tree = ProtectedTree(tmp_path, {"local": PosixStorage(tmp_path / "local")})
    (tree.source / "a.conf").write_text("good")
    tree.back_up()
    (tree.source / ".a.conf.before-20261124T120000Z").write_text("replaced")
    (tree.source / ".backstop-0123456789abcdef").mkdir()
    (tree.source / ".backstop-0123456789abcdef" / "new").mkdir()

    report = tree.back_up()

    assert report.files == 1
    assert any("a restore has replaced it" in sentence for sentence in report.not_included)
    assert not any("backstop-" in sentence for sentence in report.not_included)
