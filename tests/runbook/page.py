"""What ``docs/runbook.md`` tells to type: its sections, and every command of them, in order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PAGE = CHECKOUT / "docs" / "runbook.md"
FIRST = "Before the first command"
_ENDS_WITH = re.compile(r"\s+# ends with (\d+(?: or \d+)*)$")


@dataclass(frozen=True)
class Command:
    """One line to type.

    :param codes: with which it may end.
    """

    text: str
    codes: tuple[int, ...] = (0,)


def sections(text: str | None = None) -> dict[str, list[Command]]:
    """The commands of each section, by its heading."""
    found: dict[str, list[Command]] = {}
    for part in re.split(r"^## ", text or PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        title, _, body = part.partition("\n")
        blocks = re.findall(r"^```sh\n(.*?)^```", body, flags=re.DOTALL | re.MULTILINE)
        lines = [line for block in blocks for line in block.splitlines() if line.strip()]
        found[title.strip()] = [_command(line) for line in lines]
    return found


def _command(line: str) -> Command:
    codes = _ENDS_WITH.search(line)
    if codes is None:
        return Command(line)
    return Command(line[: codes.start()], tuple(map(int, codes[1].split(" or "))))
