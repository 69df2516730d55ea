"""A drill from its plan to its record: everything is back elsewhere, nothing live is touched, nothing stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.drill_world import DrillWorld

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


def test_everything_comes_back_elsewhere_as_it_was_at_the_moment(drills: DrillWorld) -> None:
    moment = drills.world.source.ledger.moments[7]
    seen = {}

    def look(plan, restored):
        for one in restored:
            if one.component == "base":
                seen["rows"] = drills.ledger(one)
            else:
                tree = one.component.removeprefix("tree:")
                seen[tree] = drills.files(one, tree)
        return ()

    drills.around.checks = look
    drill = drills.drill()
    record = drill.run(drill.plan(scenario="all", moment=moment, requested_by="ada"))

    assert [one.failure for one in record.components] == ["", "", ""]
    assert [one.component for one in record.components] == ["tree:config", "base", "tree:media"]
    assert seen == {"rows": [1, 2, 3, 4, 5, 6, 7], "config": ["first.txt"], "media": ["first.txt"]}
    assert record.passed
    assert record.requested_by == "ada"
    assert drills.around.records == [record]
    assert drills.leftovers() == []
