"""A year of backups, lived through in seconds: what is kept stays restorable, what is not is gone."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.simulation.simulate import simulate

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.long.trials import Campaign

#: A streak of failures of 40 days fits in.
SHORT = 75


def test_in_two_and_a_half_bad_months_nothing_kept_is_lost_and_nothing_else_is_left(tmp_path: Path) -> None:
    found = simulate("2026", days=SHORT, folder=tmp_path)

    assert found.violations == []
    # None of it by doing nothing.
    for what in ("backups removed by expiry", "backups copied by sync", "objects fewer after orphans"):
        assert found.counts[what] > 0, what


def test_the_same_seed_is_the_same_time(tmp_path: Path) -> None:
    counts = [simulate("again", days=20, folder=_fresh(tmp_path, name)).counts for name in ("a", "b")]

    assert counts[0] == counts[1]


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_in_a_year_nothing_kept_is_lost_and_nothing_else_is_left(
    campaign: Callable[[str, int], Campaign],
) -> None:
    years = campaign("year", 5)
    for trial in years:
        with tempfile.TemporaryDirectory() as folder:
            found = simulate(f"{years.seed}/{trial.number}", folder=Path(folder))
        assert found.violations == [], years.repeat(trial.number)
        years.note(**found.counts)


def _fresh(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name
