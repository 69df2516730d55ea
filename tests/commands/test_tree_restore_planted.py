"""What others put into a live folder, or change there, does not lead a restore elsewhere."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from backstop.errors import RestoreError
from tests.commands.tree_restoring import Site, carry_out

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


@pytest.mark.parametrize("kind", ["link", "file"])
def test_what_only_has_such_a_name_stops_no_restore(site: Site, kind: str) -> None:
    (site.media / "a").write_text("a")
    label = site.back_up()
    planted = site.media / ".backstop-0123456789abcdef"
    planted.symlink_to("/") if kind == "link" else planted.touch()

    carry_out(site.restore(label), only=[str(site.media / "a")])

    assert os.path.lexists(planted)
