"""Files come back as they were: beside first, validated, then exchanged; what they replace is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands.tree_restoring import STAMP, Site, carry_out, snapshot


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_tree_comes_back_in_place_and_the_former_one_is_kept(site: Site) -> None:
    (site.media / "2024").mkdir()
    (site.media / "2024" / "a.jpg").write_bytes(b"first")
    (site.media / "b.jpg").write_bytes(b"second")
    before = snapshot(site.media)
    label = site.back_up()
    (site.media / "2024" / "a.jpg").write_bytes(b"spoiled")
    (site.media / "b.jpg").unlink()
    (site.media / "new").write_bytes(b"new")
    spoiled = snapshot(site.media)

    outcome = carry_out(site.restore(label))

    assert snapshot(site.media) == before
    kept = site.media.with_name(f"media.before-{STAMP}")
    assert snapshot(kept) == spoiled
    assert outcome.kept == (str(kept),)
    assert sorted(path.name for path in site.media.parent.iterdir()) == ["media", kept.name]
