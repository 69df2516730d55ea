"""A folder that cannot be described is not in the backup, and nothing below it: a list has no orphans."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.protected_tree import ProtectedTree

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

from backstop.commands.progress import Silent
from backstop.commands.trees.backup import back_up_files
from backstop.commands.trees.listing import read_listing
from backstop.commands.trees.selection import Selection
from backstop.commands.trees.settings import TreeBackupSettings
from backstop.model.backup import BackupLabel


def test_nothing_is_listed_below_a_folder_that_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = ProtectedTree(tmp_path)
    tree.write("bad/below/file")
    tree.write("good")
    genuine = os.listxattr

    def listxattr(path: int | bytes, *, follow_symlinks: bool = True) -> list[str]:
        if isinstance(path, int) and os.path.samestat(os.fstat(path), (tree.root / "bad").stat()):
            raise OSError(5, "Input/output error")
        return genuine(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(os, "listxattr", listxattr)
    report = back_up_files(
        target="calibrify",
        tree="config",
        repositories=tree.repositories,
        keyring=tree.keyring,
        signer=tree.signer,
        settings=TreeBackupSettings(tmp_path / "staging", (str(tree.root),), unreadable="list"),
        clock=tree.now,
        holder="test",
        progress=Silent(),
    )

    assert report.not_included == (f"{tree.root / 'bad'} (input/output error)",)
    manifest = tree.repositories[0].catalog.backup(BackupLabel(report.label)).manifest
    (tmp_path / "list").mkdir()
    listing = read_listing(tree.repositories[0], manifest, keyring=tree.keyring, folder=tmp_path / "list")
    found = [os.fsdecode(one.entry.path) for one in Selection(listing).entries()]
    assert found == [str(tree.root)[1:], str(tree.root / "good")[1:]]
