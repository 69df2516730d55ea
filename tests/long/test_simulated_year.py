"""Years of backups, and the same with a rule of the program taken away: the simulation notices each."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.simulation.faults import FAULTS
from tests.simulation.simulate import simulate

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.long.trials import Campaign

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

#: Some faults need a certain history to do harm; it comes in one of so many years.
_YEARS = 12


def test_in_a_year_nothing_that_is_kept_is_lost_and_nothing_else_is_left(
    campaign: Callable[[str, int], Campaign],
) -> None:
    years = campaign("year", 5)
    for trial in years:
        with tempfile.TemporaryDirectory() as folder:
            found = simulate(f"{years.seed}/{trial.number}", folder=Path(folder))
        assert found.violations == [], years.repeat(trial.number)
        years.note(**found.counts)


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_rule_that_is_taken_away_is_noticed(
    fault: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wanted = FAULTS[fault](monkeypatch)

    for seed in range(_YEARS):
        found = simulate(f"fault/{seed}", days=150, folder=tmp_path, enough=1)
        if found.violations:
            assert re.search(wanted, found.violations[0])
            return
    pytest.fail(f"{fault}: nothing was noticed in {_YEARS} times 150 days")
