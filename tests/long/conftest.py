"""Marks the tier, and prints seeds and measurements at the end, whichever process ran the tests."""

from __future__ import annotations

import math
import shutil
import statistics
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.long.trials import Campaign

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, because a scratch server's socket lies in it, and open to that server's user."""
    path = Path(tempfile.mkdtemp(prefix="bs-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def campaign(record_property: Callable[[str, Any], None]) -> Iterator[Callable[[str, int], Campaign]]:
    """Makes the test's campaign, and reports on it whatever happens."""
    made: list[Campaign] = []

    def make(name: str, default_count: int) -> Campaign:
        made.append(Campaign(name, default_count))
        return made[-1]

    yield make
    for one in made:
        went_on = f", went on after {one.resumed_after}" if one.resumed_after else ""
        text = f"{one.name}: seed {one.seed}, {one.done} of {one.count} trials done{went_on}"
        stopped = [f"the next one alone: {one.repeat(one.done)}"] if one.done < one.count else []
        record_property("campaign", "\n  ".join([text, *stopped, *summary(one.notes)]))


def summary(notes: list[dict[str, Any]]) -> list[str]:
    """Numbers as their distribution, words by how often."""
    lines = []
    for key in sorted({key for note in notes for key in note}):
        values = [note[key] for note in notes if key in note]
        if all(isinstance(value, (int, float)) for value in values):
            lines.append(f"{key}: {distribution(values)}")
        else:
            counts = Counter(map(str, values)).most_common()
            lines.append(f"{key}: " + ", ".join(f"{count} × {value}" for value, count in counts))
    return lines


def distribution(values: list[float]) -> str:
    """Of a few numbers; the 90th percentile is the smallest that nine tenths do not exceed."""
    ordered = sorted(values)
    p90 = ordered[max(0, math.ceil(len(ordered) * 0.9) - 1)]
    found = {"min": ordered[0], "median": statistics.median(ordered), "p90": p90, "max": ordered[-1]}
    told = ", ".join(f"{name} {value:.4g}" for name, value in found.items())
    return f"{told}, {sum(ordered):.4g} in all {len(ordered)}"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    lines = [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "teardown"
        for name, value in report.user_properties
        if name == "campaign"
    ]
    if lines:
        terminalreporter.section("long trials")
        for line in lines:
            terminalreporter.line(line)
