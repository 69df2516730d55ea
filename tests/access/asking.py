"""Which roles the code asks for, by its text: of each operator, trigger and verb, and all that it uses."""

from __future__ import annotations

import ast
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PLUGINS = Path(__file__).parents[2] / "plugins"
ASKING = ("backstop.operators.", "backstop.triggers.", "backstop.cli.")
"""Where roles are chosen; what these call is handed credentials that have one."""

Definition = ast.ClassDef | ast.FunctionDef


class Module:
    """One file: what it defines, and from where it has what it imports, anywhere in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tree = ast.parse(PLUGINS.joinpath(*name.split(".")).with_suffix(".py").read_text())
        self.defined = {one.name: one for one in self.tree.body if isinstance(one, Definition)}
        self.names = {name: set(_names(one)) for name, one in self.defined.items()}
        self.named = {name: set(_named(one)) for name, one in self.defined.items()}
        self.imported = {
            alias.asname or alias.name: (one.module or "", alias.name)
            for one in ast.walk(self.tree)
            if isinstance(one, ast.ImportFrom)
            for alias in one.names
        }


class Asking:
    """All modules in which roles are chosen."""

    @cached_property
    def modules(self) -> dict[str, Module]:
        folders = [PLUGINS.joinpath(*prefix.rstrip(".").split(".")) for prefix in ASKING]
        files = [file for folder in folders for file in folder.rglob("*.py") if file.stem != "__init__"]
        names = [".".join(file.relative_to(PLUGINS).with_suffix("").parts) for file in files]
        return {name: Module(name) for name in names}

    def operators(self) -> dict[str, frozenset[str]]:
        """By class: operators and triggers that ask for a role."""
        found = {
            name: frozenset(self.roles(module.name, name))
            for module in self.modules.values()
            if not module.name.startswith("backstop.cli.")
            for name, one in module.defined.items()
            if isinstance(one, ast.ClassDef) and name.endswith(("Operator", "Trigger")) and name[0] != "_"
        }
        return {name: roles for name, roles in found.items() if roles}

    def verb(self, run: str) -> frozenset[str]:
        """:param run: as the parser has it, ``module:function``."""
        module, function = run.split(":")
        return frozenset(self.roles(f"backstop.cli.verbs.{module}", function))

    def roles(self, module: str, name: str) -> set[str]:
        found: set[str] = set()
        seen: set[tuple[str, str]] = set()
        waiting = [(module, name)]
        while waiting:
            place = waiting.pop()
            there = self.modules.get(place[0])
            if place in seen or there is None:
                continue
            seen.add(place)
            if place[1] in there.defined:
                names = there.names[place[1]]
                found |= there.named[place[1]]
                waiting += [(there.name, one) for one in names if one in there.defined]
                waiting += [there.imported[one] for one in names if one in there.imported]
        return found


def _names(node: ast.AST) -> Iterator[str]:
    return (one.id for one in ast.walk(node) if isinstance(one, ast.Name))


def _named(node: ast.AST) -> Iterator[str]:
    for one in ast.walk(node):
        if (
            isinstance(one, ast.Attribute)
            and isinstance(one.value, ast.Name)
            and one.value.id == "AccessRole"
        ):
            yield one.attr.lower()
