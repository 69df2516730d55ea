"""What others put into a live folder, or change there, does not lead a restore elsewhere."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from backstop.commands.trees.area import Area
from backstop.errors import RestoreError
from tests.commands.tree_restoring import Site, carry_out

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="another user's files are made by root")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def plant(folder: Path, *, name: str, kept: str, owner: str = "calibrify/media") -> Path:
    """A restore's folder, interrupted as its swap ran, that no restore has made."""
    area = folder / ".backstop-0123456789abcdef"
    (area / "new").mkdir(parents=True)
    (area / "new" / name).write_text("planted")
    (area / "lock").touch()
    journal = {
        "owner": owner, "label": "", "state": "swapping", "folder": "", "links": False,
        "replacements": [[name, kept, [0, 0]]],
    }  # fmt: skip
    (area / "journal.json").write_text(json.dumps(journal))
    return area


def restored_beside_the_planted(site: Site, **planted: str) -> None:
    (site.media / "a").write_text("a")
    label = site.back_up()
    (site.media / "a").write_text("changed")
    area = plant(site.media, name="a", kept="../../planted", **planted)
    for path in (area, *area.rglob("*")):
        os.chown(path, NOBODY, NOBODY)

    carry_out(site.restore(label), only=[str(site.media / "a")])

    assert (site.media / "a").read_text() == "a"


@as_root
def test_a_folder_that_another_user_has_planted_is_left_alone(site: Site) -> None:
    restored_beside_the_planted(site, owner=f"{site.maker.target}/media")

    assert not (site.folder / "planted").exists()
    assert (site.media / ".backstop-0123456789abcdef" / "new" / "a").read_text() == "planted"


def test_a_journal_that_leads_elsewhere_moves_nothing(site: Site) -> None:
    (site.media / "a").write_text("a")
    label = site.back_up()
    plant(site.media, name="a", kept="../../planted", owner=f"{site.maker.target}/media")

    carry_out(site.restore(label), only=[str(site.media / "a")])

    assert not (site.folder / "planted").exists()


@as_root
def test_what_another_user_put_in_the_place_of_the_restored_copy_is_not_swapped_in(site: Site) -> None:
    (site.media / "a").write_text("a")
    restore = site.restore(site.back_up())
    restored = restore.restore_beside(restore.plan(only=[str(site.media / "a")]))
    assert restore.validate(restored) == ()
    [area] = site.media.glob(".backstop-*")
    os.chown(area, NOBODY, NOBODY)

    with pytest.raises(RestoreError, match="another user"):
        restore.swap(restored)


def test_a_folder_that_takes_the_name_of_the_restored_copy_is_not_emptied(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    (site.media / "a").write_text("a")
    restore = site.restore(site.back_up())
    restored = restore.restore_beside(restore.plan(only=[str(site.media / "a")]))
    assert restore.validate(restored) == ()
    mail = site.folder / "Maildir"
    (mail / "new").mkdir(parents=True)
    (mail / "new" / "letter").write_text("unread")
    [area] = site.media.glob(".backstop-*")
    genuine = Area.remove

    def exchanged_first(one: Area) -> None:
        area.rename(site.media / "elsewhere")
        area.symlink_to(mail)
        genuine(one)

    monkeypatch.setattr(Area, "remove", exchanged_first)
    restore.swap(restored)

    assert (mail / "new" / "letter").read_text() == "unread"
