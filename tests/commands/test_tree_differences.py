"""What differs between two backups of files, and the history of one path, in words that people read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from backstop.commands.trees.differences import compared_backups, path_history
from backstop.commands.trees.wording import difference_line, occurrence_row
from backstop.errors import NotFoundError
from backstop.model.backup import BackupLabel
from tests.tree_protection import TreeProtection

if TYPE_CHECKING:
    from pathlib import Path

TIME = 1_700_000_000_000_000_000


@pytest.fixture
def trees(tmp_path: Path) -> TreeProtection:
    return TreeProtection(tmp_path)


def write(path: Path, content: str, mtime_ns: int = TIME) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    os.utime(path, ns=(mtime_ns, mtime_ns))
    return path


def lines(trees: TreeProtection, before: BackupLabel, after: BackupLabel) -> list[str]:
    with compared_backups(
        [trees.repository], before, after, keyring=trees.keyring, scratch=trees.scratch
    ) as found:
        return [difference_line(one).replace(str(trees.live), "") for one in found]


def test_each_change_is_one_line_that_says_what_differs(trees: TreeProtection) -> None:
    write(trees.live / "kept", "k")
    write(trees.live / "gone", "g")
    write(trees.live / "rewritten", "one")
    write(trees.live / "shut", "s").chmod(0o644)
    (trees.live / "link").symlink_to("kept")
    first = trees.back_up()
    (trees.live / "gone").unlink()
    write(trees.live / "new", "hello").chmod(0o600)
    write(trees.live / "rewritten", "three", TIME + 5_000_000_000)
    (trees.live / "shut").chmod(0o600)
    (trees.live / "link").unlink()
    (trees.live / "link").symlink_to("new")
    os.utime(trees.live / "link", ns=(TIME, TIME), follow_symlinks=False)
    second = trees.back_up()

    found = lines(trees, first, second)

    owner = found[2].split("0600 ")[1].split(",")[0]
    assert found == [
        "- /gone  file, 1 bytes, " + found[0].split("1 bytes, ")[1],
        "M /link  " + found[1].split("  ")[1],
        f"+ /new  file, 5 bytes, 0600 {owner}, 2023-11-14 22:13:20",
        "M /rewritten  content 3 -> 5 bytes, mtime 2023-11-14 22:13:20 -> 2023-11-14 22:13:25",
        "m /shut  mode 0644 -> 0600",
    ]
    assert "target kept -> new" in found[1]
    assert lines(trees, second, second) == []
    assert list(trees.scratch.iterdir()) == []


def test_a_backup_that_no_repository_has_is_named(trees: TreeProtection) -> None:
    write(trees.live / "a", "a")
    label = trees.back_up()

    with pytest.raises(NotFoundError, match="20200101T000000Z-tree-media"):
        lines(trees, BackupLabel("20200101T000000Z-tree-media"), label)


def test_the_history_of_a_path_tells_when_it_came_changed_and_went(trees: TreeProtection) -> None:
    write(trees.live / "other", "o")
    labels = [trees.back_up()]
    path = write(trees.live / "a", "one")
    labels.append(trees.back_up())
    labels.append(trees.back_up())
    write(path, "three", TIME + 1)
    labels.append(trees.back_up())
    path.chmod(0o600)
    labels.append(trees.back_up())
    path.unlink()
    labels.append(trees.back_up())

    found = list(
        path_history(
            [trees.repository], "media", os.fsencode(path), keyring=trees.keyring, scratch=trees.scratch
        )
    )

    assert [one.published.manifest.label for one in found] == labels
    assert [one.change.value if one.change else None for one in found] == [
        None, "added", None, "content", "metadata", "removed",
    ]  # fmt: skip
    rows = [occurrence_row(one) for one in found]
    assert rows[0][2:] == ["unchanged", "not there"]
    assert rows[3][2] == "content: content, mtime"
    assert rows[4][2] == "metadata: mode"


def test_the_history_of_a_tree_without_backups_says_so(trees: TreeProtection) -> None:
    with pytest.raises(NotFoundError, match="no backup of tree other"):
        list(path_history([trees.repository], "other", b"/a", keyring=trees.keyring, scratch=trees.scratch))
