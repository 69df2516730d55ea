"""``latest`` means the newest dump to verbs that work on a database, whatever was backed up since."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.making import STARTED
from tests.tree_making import TreeMaker


@pytest.fixture
def dump(maker, tmp_path):
    """The label of a dump; files were backed up after it."""
    near = maker()
    published = near.publish()
    (tmp_path / "tree").mkdir()
    TreeMaker(near, started_at=STARTED + timedelta(hours=1)).back_up(tmp_path / "tree")
    return published.manifest.label.text


@pytest.mark.parametrize("verb", [["rescue-tables", "lab.equipment", "--dry-run"], ["verify"]])
def test_the_latest_backup_of_a_database_is_a_dump(run, dump, verb, monkeypatch):
    asked = []

    def locate(self, text, **how):
        found = genuine(self, text, **how)
        asked.append(found[1].text)
        return found

    from backstop.cli.session import Session

    genuine = Session.locate
    monkeypatch.setattr(Session, "locate", locate)

    run(*verb, "--label", "latest", "--repository" if verb == ["verify"] else "--from", "near")

    assert asked == [dump]
