"""Each operator, trigger and verb asks for the role that the page says, and for no other."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from backstop.cli.parser import build_parser
from backstop.model.access import AccessRole
from tests.access.asking import Asking

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs" / "access.md"
ROLES = {role.value for role in AccessRole}
ASKING = Asking()


def rows(heading: str) -> list[list[str]]:
    """Of the table of a section."""
    section = PAGE.read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def said() -> dict[str, frozenset[str]]:
    """What the page says: by operator, trigger or verb."""
    found = {
        name: frozenset({role})
        for role, *columns in rows("By role")
        for name in re.findall(r"`([^`]+)`", " ".join(columns))
    }
    more = {name.strip("`"): frozenset(roles.split(", ")) for name, roles, _ in rows("More than one")}
    assert not found.keys() & more.keys()
    return found | more


def verbs(
    parser: argparse.ArgumentParser, words: tuple[str, ...] = ()
) -> Iterator[tuple[str, frozenset[str]]]:
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for action in below:
        for word, one in action.choices.items():
            yield from verbs(one, (*words, word))
    if not below:
        yield " ".join(words), ASKING.verb(parser.get_default("run"))


def test_each_asks_for_the_roles_that_the_page_says_and_for_no_other():
    asked = ASKING.operators() | {name: roles for name, roles in verbs(build_parser()) if roles}

    assert {name: sorted(roles) for name, roles in asked.items()} == {
        name: sorted(roles) for name, roles in said().items()
    }


def test_the_page_has_a_row_for_each_role():
    assert {role for role, *_ in rows("By role")} == ROLES


def test_a_role_that_only_a_function_asks_for_is_found_through_what_uses_it():
    # SwapBackFilesOperator names none itself: a function of its module does.
    assert ASKING.roles("backstop.operators.swap_back_files", "SwapBackFilesOperator") == {"restorer"}
    # From another module.
    assert ASKING.operators()["TellOperator"] == {"restorer"}
