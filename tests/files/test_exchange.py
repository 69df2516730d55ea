"""Names change hands one by one; whatever interrupts it, nothing that was live is lost."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest

from backstop.errors import ConfigurationError
from backstop.files.exchange import Replacement, put_back, replace, settle
from backstop.files.mounts import mount_points, mounted_below
from backstop.files.names import is_ours, is_staging, kept_name, staging_name
from backstop.files.ownership import Ownership
from backstop.files.rename import inode, move
from tests.tree_making import entry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)


@pytest.fixture(params=[True, False], ids=["exchange", "two renames"])
def folders(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[int, int]]:
    """Open: the live one with an old file ``a``, and the other with the new one."""
    if not request.param:
        monkeypatch.setattr("backstop.files.exchange.exchanged", lambda *_: False)
    for name in ("live", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text(name)
    live, new = (os.open(tmp_path / name, os.O_RDONLY) for name in ("live", "new"))
    yield live, new
    os.close(live)
    os.close(new)


def found(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() if path.is_file() else "folder" for path in folder.iterdir()}


def test_a_name_is_replaced_and_put_back(folders: tuple[int, int], tmp_path: Path) -> None:
    live, new = folders
    one = Replacement(b"a", b"kept", inode(new, b"a"))

    assert replace(live, new, one)
    assert found(tmp_path / "live") == {"a": "new", "kept": "live"}
    put_back(live, new, one, there_was=True)

    assert found(tmp_path / "live") == {"a": "live"}
    assert found(tmp_path / "new") == {"a": "new"}


def test_a_folder_replaces_a_file_and_the_other_way_round(folders: tuple[int, int], tmp_path: Path) -> None:
    live, new = folders
    (tmp_path / "new" / "a").unlink()
    (tmp_path / "new" / "a").mkdir()

    replace(live, new, Replacement(b"a", b"kept", inode(new, b"a")))

    assert found(tmp_path / "live") == {"a": "folder", "kept": "live"}


def test_what_is_kept_never_replaces_what_has_its_name(folders: tuple[int, int], tmp_path: Path) -> None:
    live, new = folders
    (tmp_path / "live" / "kept").write_text("theirs")

    with pytest.raises(FileExistsError):
        replace(live, new, Replacement(b"a", b"kept", inode(new, b"a")))
    with pytest.raises(FileExistsError):
        move(new, b"a", live, b"kept")

    assert found(tmp_path / "live") == {"a": "live", "kept": "theirs"}
    assert found(tmp_path / "new") == {"a": "new"}


def test_settling_keeps_what_was_live_under_a_free_name(folders: tuple[int, int], tmp_path: Path) -> None:
    """The kill came between the exchange and the rename to the kept name."""
    live, new = folders
    one = Replacement(b"a", b"kept", inode(new, b"a"))
    (tmp_path / "live" / "kept").write_text("theirs")
    (tmp_path / "live" / "a").rename(tmp_path / "old")
    (tmp_path / "new" / "a").rename(tmp_path / "live" / "a")
    (tmp_path / "old").rename(tmp_path / "new" / "a")

    assert settle(live, new, one)
    assert settle(live, new, one)

    assert found(tmp_path / "live") == {"a": "new", "kept": "theirs", "kept-1": "live"}


def test_settling_puts_back_what_two_renames_had_taken_away(folders: tuple[int, int], tmp_path: Path) -> None:
    live, new = folders
    one = Replacement(b"a", b"kept", inode(new, b"a"))
    (tmp_path / "live" / "a").rename(tmp_path / "live" / "kept")

    assert not settle(live, new, one)

    assert found(tmp_path / "live") == {"a": "live"}


def test_names_of_ours_are_told_from_others() -> None:
    assert is_staging(staging_name())
    assert is_ours(kept_name(b"a.conf", NOW, hidden=True))
    assert is_ours(kept_name(b"a", NOW, hidden=False, number=3))
    for name in (b".backstop-1", b"a.before-", b"before-20261124T120000Z", b".before-20261124T120000Z", b"a"):
        assert not is_ours(name)


def test_kept_names_fit_however_long_the_name_was() -> None:
    assert len(kept_name(b"x" * 255, NOW, hidden=True, number=12)) == 255
    assert kept_name(b"a", NOW, hidden=False) == b"a.before-20261124T120000Z"
    assert kept_name(b".a", NOW, hidden=True) == b".a.before-20261124T120000Z"


def test_mount_points_are_known_and_what_is_above_them() -> None:
    points = mount_points()

    assert b"/proc" in points
    assert mounted_below(b"/", points)
    assert not mounted_below(b"/pro", points)


def test_owners_are_names_or_numbers_and_unknown_ones_are_refused() -> None:
    assert Ownership.parse("root:0") == Ownership(0, 0)
    assert Ownership(5, None).of(entry("a", uid=1, gid=2)) == (5, 2)
    with pytest.raises(ConfigurationError, match="no-such-user"):
        Ownership.parse("no-such-user:root")
