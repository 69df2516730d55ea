"""What ``docs/runbook.md`` tells to type: its sections, and every command of them, in order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PAGE = CHECKOUT / "docs" / "runbook.md"
FIRST = "Before the first command"
_BEGINS = re.compile(
    r"^\*\*(?:Undo )?(?:([A-C])[.:]|(?:In Airflow|How long|It worked|Undo)\b)", flags=re.MULTILINE
)
_ENDS_WITH = re.compile(r"\s+# ends with (\d+(?: or \d+)*)$")


@dataclass(frozen=True)
class Command:
    """One line to type.

    :param codes: with which it may end.
    :param part: of the section, as in its table of decisions: ``A``, ``B``; empty where it has none, and for
        what is said of all of them.
    """

    text: str
    codes: tuple[int, ...] = (0,)
    part: str = ""


def sections(text: str | None = None) -> dict[str, list[Command]]:
    """The commands of each section, by its heading."""
    found: dict[str, list[Command]] = {}
    for section in re.split(r"^## ", text or PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        commands: list[Command] = []
        part = ""
        # Prose and blocks by turns.
        for number, piece in enumerate(re.split(r"^```(?:sh)?\n", body, flags=re.MULTILINE)):
            if number % 2:
                commands += [_command(line, part) for line in piece.splitlines() if line.strip()]
            else:
                begins = _BEGINS.findall(piece)
                part = begins[-1] if begins else part
        found[title.strip()] = commands
    return found


def _command(line: str, part: str) -> Command:
    codes = _ENDS_WITH.search(line)
    if codes is None:
        return Command(line, part=part)
    return Command(line[: codes.start()], tuple(map(int, codes[1].split(" or "))), part)
