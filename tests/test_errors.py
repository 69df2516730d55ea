"""Every error says what to do next."""

from __future__ import annotations

import ast
from pathlib import Path

from backstop import errors
from backstop.errors import BackstopError

ENGINE = Path(errors.__file__).parent


def raised_without_a_next_step(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            kind = getattr(errors, node.func.id, None)
            ours = isinstance(kind, type) and issubclass(kind, BackstopError)
            said = any(keyword.arg in ("hint", None) for keyword in node.keywords)
            if ours and not said and not kind.next_step:
                found.append(f"{path.relative_to(ENGINE)}:{node.lineno}: {node.func.id}")
    return found


def test_every_error_names_the_next_step():
    assert [line for path in sorted(ENGINE.rglob("*.py")) for line in raised_without_a_next_step(path)] == []


def test_an_error_of_a_kind_that_always_has_the_same_next_step_names_it():
    assert str(errors.ObjectMissingError("x does not exist")).startswith("x does not exist — read it from")
