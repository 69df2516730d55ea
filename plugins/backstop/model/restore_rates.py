"""Fixed cost and rates of restores, from restores. Pure.

The sum of relative errors is made small, not of their squares (least absolute deviations, by iteratively
reweighted least squares; E. J. Schlossmacher, JASA 68, 1973): a restore that took four times as long, on a
machine that did something else, must not bend the line, and small restores count as much as large ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

TELLING = 1.3
"""Sizes must differ by such a factor before they tell a fixed cost from a rate."""
ROUNDS = 25
SEGMENT_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Restore:
    """One restore that succeeded.

    :param bytes: of the backup. :param segments: of WAL, replayed after it.
    """

    bytes: int
    seconds: float
    segments: int = 0


@dataclass(frozen=True, slots=True)
class Rates:
    """What restores cost.

    :param learned: how many of the three numbers the restores told.
    :param told_apart: fixed cost and rates come from restores of different sizes, not from a guess.
    """

    fixed: float
    per_byte: float
    per_segment: float
    learned: int
    told_apart: bool

    def seconds(self, size: float, segments: float) -> float:
        """Never zero."""
        return max(self.fixed + self.per_byte * size + self.per_segment * segments, 1e-3)


def volume(size: float, segments: float) -> float:
    """Bytes to be written, WAL counted as if it were files; at least one."""
    return max(size + segments * SEGMENT_BYTES, 1.0)


def fitted(seen: Sequence[Restore]) -> Rates:
    """What fits best. :param seen: at least one, each of more than no seconds."""
    rows = [(1.0, float(one.bytes), float(one.segments)) for one in seen]
    columns = [0] if len(seen) >= 4 else []
    columns += [at for at in (1, 2) if columns and _tells([row[at] for row in rows])]
    if len(columns) < 2 or len(seen) < len(columns) + 2:
        return _guessed(seen)
    scale = [max(row[at] for row in rows) for at in columns]
    table = [[row[at] / most for at, most in zip(columns, scale, strict=True)] for row in rows]
    found = _least_deviations(table, [one.seconds for one in seen])
    numbers = [0.0, 0.0, 0.0]
    for at, most, value in zip(columns, scale, found, strict=True):
        numbers[at] = value / most
    fixed, per_byte, per_segment = numbers
    return Rates(fixed, per_byte, per_segment, learned=len(columns), told_apart=True)


def _tells(values: Sequence[float]) -> bool:
    return max(values) > TELLING * max(min(values), 1.0)


def _guessed(seen: Sequence[Restore]) -> Rates:
    """Half of what a middling restore took is fixed, half grows with its size: nothing says which."""
    middle = sorted(seen, key=lambda one: one.seconds)[len(seen) // 2]
    rate = middle.seconds / 2 / volume(middle.bytes, middle.segments)
    return Rates(middle.seconds / 2, rate, rate * SEGMENT_BYTES, learned=1, told_apart=False)


def _least_deviations(table: Sequence[Sequence[float]], seconds: Sequence[float]) -> list[float]:
    """Numbers, none negative, that make the sum of ``|seconds - row · numbers| / (row · numbers)`` small."""
    weights = [1.0] * len(seconds)
    found: list[float] = []
    for _ in range(ROUNDS):
        found = _least_squares(table, seconds, weights)
        said = [max(sum(a * b for a, b in zip(row, found, strict=True)), 1e-3) for row in table]
        # As a part of what is said, not of what was: one that was far too quick must not weigh the most.
        weights = [
            1 / (say * max(abs(one - say), 1e-4 * say)) for one, say in zip(seconds, said, strict=True)
        ]
    return found


def _least_squares(
    table: Sequence[Sequence[float]], seconds: Sequence[float], weights: Sequence[float]
) -> list[float]:
    """The best of all choices of columns that need no negative number; there are at most three."""
    size = len(table[0])
    products = [
        [sum(w * row[i] * row[j] for row, w in zip(table, weights, strict=True)) for j in range(size)]
        for i in range(size)
    ]
    targets = [
        sum(w * row[i] * one for row, one, w in zip(table, seconds, weights, strict=True))
        for i in range(size)
    ]
    best, best_error = [0.0] * size, 0.0
    for count in range(1, size + 1):
        for chosen in combinations(range(size), count):
            solved = _solved([[products[i][j] for j in chosen] + [targets[i]] for i in chosen])
            if solved is None or min(solved) < 0:
                continue
            # Up to what is the same for all: the sum of the squares of the seconds.
            error = -sum(value * targets[i] for value, i in zip(solved, chosen, strict=True))
            if error < best_error:
                best_error = error
                best = [0.0] * size
                for value, i in zip(solved, chosen, strict=True):
                    best[i] = value
    return best


def _solved(rows: list[list[float]]) -> list[float] | None:
    """Gaussian elimination of a positive definite system; None when it has no single solution."""
    for i, row in enumerate(rows):
        if row[i] <= 1e-9 * max(abs(value) for value in row[:-1]):
            return None
        for lower in rows[i + 1 :]:
            factor = lower[i] / row[i]
            lower[i:] = [a - factor * b for a, b in zip(lower[i:], row[i:], strict=True)]
    values = [0.0] * len(rows)
    for i in reversed(range(len(rows))):
        known = sum(rows[i][j] * values[j] for j in range(i + 1, len(rows)))
        values[i] = (rows[i][-1] - known) / rows[i][i]
    return values
