"""A directory of target files: one has what they share; a mistake in another disables its targets alone."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from backstop.errors import ConfigurationError
from backstop.model.words import printable
from backstop.targets.broken import BrokenFile
from backstop.targets.check import check_shared, check_target, empty, mistakes_among, mistakes_of
from backstop.targets.defaults import DEFAULTS, check_defaults
from backstop.targets.document import Document, read_document
from backstop.targets.fields import is_name
from backstop.targets.mistakes import Mistake, Position, dotted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from backstop.targets.models import Configuration, Target

SHARED = "backstop.yaml"
"""The file of a directory that has everything but the targets."""
_NONE = "nothing is backed up or watched: there is no target file"
SUFFIXES = (".yaml", ".yml")
"""Of files that have targets. What is hidden (``.#web.yaml``, ``..data``) is none."""


def target_files(directory: Path) -> list[Path]:
    """All files with targets, in folders below it too, by name; with folders that cannot be looked into.

    A link to a folder is one: a mounted ConfigMap has ``red -> ..data/red``. Each is looked into once.
    """
    found: list[Path] = []
    been = {(seen.st_dev, seen.st_ino) for seen in [directory.stat()]}
    closed: list[str] = []

    def note(error: OSError) -> None:
        closed.append(str(error.filename))

    for folder, inner, names in os.walk(directory, followlinks=True, onerror=note):
        inner[:] = sorted(name for name in inner if not name.startswith(".") and _is_new(folder, name, been))
        found += [Path(folder, name) for name in (*names, *inner) if not name.startswith(".")]
    files = [path for path in found if path.suffix in SUFFIXES and path != directory / SHARED]
    return sorted({*files, *(Path(path) for path in closed if Path(path) != directory)})


def _is_new(folder: str, name: str, been: set[tuple[int, int]]) -> bool:
    """Whether nobody has been there, by another link. What cannot be looked at is new: it is told of."""
    try:
        seen = Path(folder, name).stat()
    except OSError:
        return True
    place = (seen.st_dev, seen.st_ino)
    return place not in been and not been.add(place)  # type: ignore[func-returns-value]


@dataclass(slots=True)
class _File:
    """:param guessed: names that a file which cannot be read seems to have."""

    path: str
    document: Document
    mistakes: list[Mistake]
    names: list[str] = field(default_factory=list)
    guessed: list[str] = field(default_factory=list)


def check_directory(
    shared_file: Path, files: Sequence[Path], read: Callable[[Path], str]
) -> tuple[Configuration | None, list[Mistake]]:
    """What the directory says, with the files that are wrong; None and why, where what is shared is wrong.

    :param read: the text of a file.
    :raises ConfigurationError: what is shared cannot be read.
    """
    shared = read_document(read(shared_file), str(shared_file))
    if shared.value is None:
        return None, shared.mistakes or [empty(shared)]
    contents = [_read(path, read) for path in files]
    owners: dict[str, list[_File]] = defaultdict(list)
    for content in contents:
        for name in content.names:
            owners[name].append(content)
    # A name that a file only seems to have is another file's, if that one really has it.
    guessed = {name for content in contents for name in content.guessed if name not in owners}
    known = [*owners, *guessed]
    if isinstance(shared.value, dict) and "targets" not in shared.value:
        shared.value["targets"] = {}
    elif isinstance(shared.value, dict):
        here = shared.position_of_key(("targets",))
        what = "targets have files of their own here, so that a mistake in one disables it alone; move them"
        return None, [*shared.mistakes, Mistake(here, "targets", what)]
    # One that is gone, or hides in a file that is wrong, must not stop the others: said below.
    configuration, mistakes = check_shared(shared, known)
    unknown = [
        one for one in mistakes if one.where.startswith("alerts.") and "there is no target" in one.what
    ]
    mistakes = [one for one in mistakes if one not in unknown]
    if configuration is None or mistakes:
        return None, sorted({*mistakes, *unknown})
    if not contents:
        # A checkout or a mount that is not complete looks like this, and nothing else would tell.
        unknown.append(Mistake(shared.position_of_key(()), "", f"{_NONE} in {shared_file.parent}"))
    broken = [BrokenFile(str(shared_file), (), tuple(unknown), is_shared=True)] if unknown else []
    targets, wrong = _judge_all(contents, shared, owners, known)
    broken += wrong
    folder = printable(str(shared_file.parent))
    broken = [replace(one, folder=folder) for one in broken]
    return configuration.with_targets({name: targets[name] for name in sorted(targets)}, broken), []


def _judge_all(
    contents: Sequence[_File], shared: Document, owners: Mapping[str, Sequence[_File]], known: Sequence[str]
) -> tuple[dict[str, Target], list[BrokenFile]]:
    """Those that can be worked with, of all files; and the files of the others."""
    targets: dict[str, Target] = {}
    judged = [_judge(content, shared, owners, known) for content in contents]
    for working, _ in judged:
        targets |= working
    among: dict[str, list[Mistake]] = defaultdict(list)
    for name, mistake in mistakes_among(targets, lambda name: owners[name][0].document):
        among[name].append(mistake)
    for name in among:
        del targets[name]
    broken = []
    for content, (working, mistakes) in zip(contents, judged, strict=True):
        found = [*mistakes, *(mistake for name in working for mistake in among.get(name, ()))]
        if found:
            broken.append(_broken(content, targets, owners, found))
    return targets, broken


def _judge(
    content: _File, shared: Document, owners: Mapping[str, Sequence[_File]], known: Sequence[str]
) -> tuple[dict[str, Target], list[Mistake]]:
    """Which of its targets can be worked with, and what is wrong with the others."""
    if content.mistakes:
        return {}, content.mistakes
    working: dict[str, Target] = {}
    mistakes: list[Mistake] = []
    for name in content.names:
        target, wrong = check_target(content.document, shared, name, known)
        others = [other for other in owners[name] if other is not content]
        if others:
            # Nobody knows which is meant: none of them.
            position = content.document.position_of_key(("targets", name))
            what = f"is in {' and '.join(other.path for other in others)} too; keep one of them"
            wrong.append(Mistake(position, dotted(("targets", name)), what))
        if target is not None and not wrong:
            working[name] = target
        mistakes += wrong
    return working, mistakes


def _broken(
    content: _File,
    targets: Mapping[str, Target],
    owners: Mapping[str, Sequence[_File]],
    mistakes: Sequence[Mistake],
) -> BrokenFile:
    """:param targets: those that can be worked with, of all files."""
    names = [*content.names, *(name for name in content.guessed if name not in owners)]
    disabled = tuple(name for name in dict.fromkeys(names) if name not in targets and is_name(name))
    # What it has from the defaults stands elsewhere: its own mistakes first.
    ordered = sorted(set(mistakes), key=lambda one: (one.position.file != content.path, one))
    return BrokenFile(content.path, disabled, tuple(ordered))


def _read(path: Path, read: Callable[[Path], str]) -> _File:
    # A name that is no UTF-8 could be neither printed nor stored.
    name = printable(str(path))
    try:
        text = read(path)
    except ConfigurationError as error:
        what = error.message.removeprefix(f"{path} ")
        unread = Document(None, file=name)
        return _File(name, unread, [Mistake(Position(1, 1, name), "", what)], guessed=_called(path))
    document = read_document(text, name)
    content = _File(name, document, list(document.mistakes))
    targets = document.value.get("targets") if isinstance(document.value, dict) else None
    if isinstance(targets, dict):
        content.names = [str(name) for name in targets]
        # Of what YAML keeps one of, such as two `targets:`, the others are disabled all the same.
        content.guessed = list(_seen_in(text)) if document.mistakes else []
        content.mistakes += _strangers(document)
        if document.value.get(DEFAULTS) is not None:
            content.mistakes += check_defaults(document, mistakes_of)
    else:
        content.guessed = list(_seen_in(text)) or _called(path)
        if not content.mistakes:
            content.mistakes.append(empty(document) if document.value is None else _without_targets(document))
    return content


def _strangers(document: Document) -> Iterator[Mistake]:
    for key in document.value:
        if key not in ("targets", DEFAULTS):
            what = f"only `targets` and their `defaults` stand in such a file; what all share is in {SHARED}"
            yield Mistake(document.position_of_key((key,)), str(key), what)


def _without_targets(document: Document) -> Mistake:
    where = document.position_of_value(("targets",) if "targets" in _keys(document) else ())
    return Mistake(where, "targets", f"expected a mapping of targets; what all share is in {SHARED}")


def _keys(document: Document) -> Sequence[str]:
    return list(document.value) if isinstance(document.value, dict) else []


def _seen_in(text: str) -> Iterator[str]:
    """Names in a text that is not YAML: the keys right below each ``targets``."""
    indent, below = "", False
    for line in text.splitlines():
        if re.match(r"[^\s#]", line):
            indent, below = "", line.startswith("targets:")
            continue
        key = re.match(r"( +)[\"']?([a-z0-9][a-z0-9_-]{0,39})[\"']?:", line) if below else None
        if key and key[1] == (indent := indent or key[1]):
            yield key[2]


def _called(path: Path) -> list[str]:
    # A folder that nobody may look into is called after nobody.
    return [path.stem] if path.suffix in SUFFIXES and is_name(path.stem) else []
