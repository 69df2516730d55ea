"""The harness itself: quick, and part of `make test`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.long.trials import Campaign

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BACKSTOP_SEED", "BACKSTOP_TRIALS", "BACKSTOP_TRIAL"):
        monkeypatch.delenv(name, raising=False)


def run(folder: Path, *, stop_at: int | None = None) -> tuple[str, list[tuple[int, float]]]:
    campaign = Campaign("test", 5, folder)
    seen = []
    for trial in campaign:
        if trial.number == stop_at:
            return campaign.seed, seen
        seen.append((trial.number, trial.random.random()))
    return campaign.seed, seen


def test_an_interrupted_run_goes_on_with_the_trial_it_was_in(tmp_path: Path):
    seed, first = run(tmp_path, stop_at=2)
    again, rest = run(tmp_path)

    assert again == seed
    assert [number for number, _ in first + rest] == [0, 1, 2, 3, 4]


def test_a_finished_run_gives_way_to_a_new_seed(tmp_path: Path):
    seed, _ = run(tmp_path)
    other, trials = run(tmp_path)

    assert other != seed
    assert len(trials) == 5


def test_a_seed_repeats_every_trial_and_each_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    seed, trials = run(tmp_path)
    monkeypatch.setenv("BACKSTOP_SEED", seed)

    assert run(tmp_path) == (seed, trials)
    monkeypatch.setenv("BACKSTOP_TRIAL", "3")
    assert run(tmp_path) == (seed, [trials[3]])
