"""Validate configuration: the target's own validators, on restored files."""

from __future__ import annotations

import glob
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from backstop.commands.checklist.line import failed, in_words, not_applicable, not_done, passed, tried
from backstop.commands.probing.environment import restored_environment
from backstop.commands.target_command import environment_elsewhere, run_command, without_secrets
from backstop.model.figures import duration_in_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from backstop.commands.checklist.restored import ChecklistSettings, RestoredFiles
    from backstop.model.measured import CheckedItem
    from backstop.postgres.connection import ClusterConnection

ITEM = "configuration"
ROOT = "{root}"
_INTERPRETER = re.compile(r"python[\d.]*|sh|bash|dash|perl|ruby|node")


def validate_configuration(
    database: ClusterConnection | None, trees: Sequence[RestoredFiles], *, settings: ChecklistSettings
) -> Iterator[CheckedItem]:
    """A line a command. :param database: the restored one, for validators that ask it; None: none is back."""
    places = {one.name: one.root for one in trees if not one.failure}
    environment = environment_elsewhere(restored_environment(database, places) | dict(settings.environment))
    validated = [tree for tree in trees if tree.validators]
    if not validated:
        yield not_applicable(ITEM, "", _why_none(trees))
    for tree in validated:
        if tree.failure:
            yield not_done(ITEM, tree.component, f"{in_words(tree.component)} are not back: {tree.failure}")
            continue
        for argv in tree.validators:
            yield tried(ITEM, tree.component, partial(_run, tree, argv, environment, settings))


def expanded(argv: Sequence[str], root: str) -> list[str] | None:
    """``{root}`` put in; an argument that begins with it and is a glob stands for every file that it matches.

    :returns: None: a glob matches nothing.
    """
    found: list[str] = []
    for argument in argv:
        placed = argument.replace(ROOT, root)
        if argument.startswith(ROOT) and glob.has_magic(argument.removeprefix(ROOT)):
            pattern = argument.removeprefix(ROOT).lstrip("/")
            matches = sorted(str(one) for one in Path(root).glob(pattern))
            if not matches:
                return None
            found += matches
        else:
            found.append(placed)
    return found


def _called(argv: Sequence[str]) -> str:
    """What people call it: the script rather than the program that runs it."""
    script = len(argv) > 1 and not argv[1].startswith("-") and _INTERPRETER.fullmatch(Path(argv[0]).name)
    return argv[1] if script else argv[0]


def _named(command: Sequence[str], root: str) -> Iterator[str]:
    """The restored files that arguments name, wherever in an argument they stand."""
    yield from (root + one.partition(root)[2] for one in command if root in one)


def _lies_below(path: str, root: Path) -> bool:
    """Whether all links on the way to it end among the restored files; what is not there leads nowhere."""
    return Path(path).resolve().is_relative_to(root.resolve())


def _run(
    tree: RestoredFiles, argv: Sequence[str], environment: Mapping[str, str], settings: ChecklistSettings
) -> CheckedItem:
    command, name = expanded(argv, str(tree.root)), _called(argv)
    if command is None:
        return failed(ITEM, tree.component, f"{name}: no restored file is called as its arguments say")
    astray = [one for one in _named(command, str(tree.root)) if not _lies_below(one, tree.root)]
    if astray:
        links = [f"{ROOT}{one.removeprefix(str(tree.root))} leads out of it" for one in astray]
        sentence = f"{name} would have looked at live files: links lead out of {in_words(tree.component)}"
        return failed(ITEM, tree.component, sentence, links)
    try:
        end = run_command(command, environment=environment, timeout=settings.validator_timeout)
    except OSError as error:
        return failed(ITEM, tree.component, f"{name} cannot be run: {error.strerror}")
    said = without_secrets(end.tail, settings.secrets).replace(str(tree.root), ROOT)
    details = said.splitlines()
    if end.status is None:
        within = duration_in_words(settings.validator_timeout)
        return failed(ITEM, tree.component, f"{name} did not end within {within}", details)
    if end.status != 0:
        return failed(ITEM, tree.component, f"{name} exited with {end.status}", details)
    return passed(ITEM, tree.component, f"{name} found {in_words(tree.component)} in order", details)


def _why_none(trees: Sequence[RestoredFiles]) -> str:
    if not trees:
        return "no files were lost in this scenario"
    return "targets.yaml names no validator for the files that were lost"
