"""The runbook is complete: every line of it is typed by a test, and every situation can be found."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.runbook.page import CHECKOUT, FIRST, PAGE, sections
from tests.test_docs import anchor_of

TEXT = PAGE.read_text(encoding="utf-8")


def followed() -> set[str]:
    """Headings that some test of this folder follows to their end."""
    found = set()
    for file in Path(__file__).parent.glob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and getattr(node.func, "attr", getattr(node.func, "id", "")) == "follow"
            ):
                first = node.args[0] if node.args else None
                if isinstance(first, ast.Constant):
                    found.add(first.value)
                elif isinstance(first, ast.Name) and first.id == "FIRST":
                    found.add(FIRST)
    return found


def test_every_command_of_the_page_is_typed_by_a_test() -> None:
    """`follow` types every line of a section; a section that nobody follows is one that nobody has tried."""
    assert sorted(set(sections()) - followed()) == []
    assert sorted(followed() - set(sections())) == []


def test_every_section_has_commands_and_every_command_is_in_a_section() -> None:
    assert [title for title, commands in sections().items() if not commands] == []
    inside = sum(len(commands) for commands in sections().values())
    fenced = re.findall(r"^```\w*\n(.*?)^```", TEXT, flags=re.DOTALL | re.MULTILINE)
    assert inside == sum(len([line for line in block.splitlines() if line.strip()]) for block in fenced)


def test_the_table_at_the_top_leads_to_every_situation() -> None:
    table = TEXT[: TEXT.index("## ")]
    led_to = set(re.findall(r"\]\(#([^)]+)\)", table))

    assert {anchor_of(title) for title in sections() if title != FIRST} == led_to


def test_every_situation_says_how_long_it_takes_how_to_know_and_how_to_undo() -> None:
    for part in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]:
        title = part.partition("\n")[0].strip()
        if title == FIRST:
            continue
        silent = [words for words in ("worked when**", "**Undo") if words not in part]
        assert silent == [], f"{title} does not say {silent}"


def test_dags_that_the_page_names_exist() -> None:
    dags = re.findall(
        r"`([^`]+)`", "\n".join(re.findall(r"^## (.*)$", (CHECKOUT / "docs" / "dags.md").read_text(), re.M))
    )
    named = re.findall(r"DAG `([a-z_]+)`|`((?:archive|back|expire|sync|take)_[a-z_]+__calibrify)`", TEXT)

    assert named
    assert [one or other for one, other in named if (one or other) not in dags] == []
