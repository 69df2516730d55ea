"""Numbered trials from one seed, remembered, so that an interrupted run goes on where it was.

``BACKSTOP_SEED`` repeats a run, ``BACKSTOP_TRIALS`` sets how many trials each campaign has, and
``BACKSTOP_TRIAL`` runs that one alone. Without a seed an unfinished run goes on, also at the trial that
failed; a finished one gives way to a new seed.
"""

from __future__ import annotations

import json
import os
import random
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[2] / ".backstop"


@dataclass(frozen=True)
class Trial:
    """One trial; ``random`` depends on the campaign, the seed and the number alone."""

    number: int
    random: random.Random = field(repr=False)


@dataclass
class Campaign:
    """The trials of one kind, and what was noted of those that went well."""

    name: str
    default_count: int
    folder: Path = FOLDER
    notes: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.count = int(os.environ.get("BACKSTOP_TRIALS") or self.default_count)
        self._only = os.environ.get("BACKSTOP_TRIAL")
        self._done = 0
        wanted = os.environ.get("BACKSTOP_SEED")
        remembered = self._remembered()
        unfinished = bool(remembered) and remembered["done"] < self.count
        if remembered and unfinished and wanted in (None, "", remembered["seed"]):
            self.seed, self._done = remembered["seed"], remembered["done"]
            self.notes = remembered["notes"]
        else:
            self.seed = wanted or secrets.token_hex(4)
        self.resumed_after = self._done

    @property
    def done(self) -> int:
        return self._done

    def __iter__(self) -> Iterator[Trial]:
        """Each trial counts as done when the loop asks for the next one."""
        numbers = range(self._done, self.count) if self._only is None else [int(self._only)]
        for number in numbers:
            # Before the trial: should this process be killed, it starts again with this one.
            self._remember()
            yield Trial(number, random.Random(f"{self.name}/{self.seed}/{number}"))
            if self._only is None:
                self._done = number + 1
        self._remember()

    def repeat(self, number: int) -> str:
        return f"BACKSTOP_SEED={self.seed} BACKSTOP_TRIAL={number}"

    def note(self, **facts: Any) -> None:
        """Something measured, for the summary of the whole campaign; survives an interruption."""
        self.notes.append(facts)

    @property
    def _path(self) -> Path:
        return self.folder / f"trials-{self.name}.json"

    def _remembered(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads(self._path.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return found

    def _remember(self) -> None:
        if self._only is not None:
            return
        self.folder.mkdir(exist_ok=True)
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps({"seed": self.seed, "done": self._done, "notes": self.notes}))
        fresh.replace(self._path)
