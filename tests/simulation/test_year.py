"""Months of backups, lived through in seconds: what is kept stays restorable, what is not is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.simulate import simulate

if TYPE_CHECKING:
    from pathlib import Path

#: A streak of failures of 40 days fits in.
SHORT = 75


def test_in_bad_months_nothing_that_is_kept_is_lost_and_nothing_else_is_left(tmp_path: Path) -> None:
    found = simulate("2026", days=SHORT, folder=tmp_path)

    assert found.violations == []
    # None of it by doing nothing.
    for what in ("backups removed by expiry", "backups copied by sync", "objects fewer after orphans"):
        assert found.counts[what] > 0, what


def test_the_same_seed_is_the_same_time(tmp_path: Path) -> None:
    counts = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        counts.append(simulate("again", days=15, folder=folder).counts)

    assert counts[0] == counts[1]
