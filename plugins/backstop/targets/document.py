"""YAML text to plain values that remember where in the file they stand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import yaml

from backstop.targets.mistakes import Mistake, Path, Position, dotted

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, MutableMapping

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_MERGE = "tag:yaml.org,2002:merge"
_STANDARD_TAG = "tag:yaml.org,2002:"
_MOST_VALUES = 100_000
"""Of one file, each alias counted as what it stands for: a few lines of aliases of aliases are billions."""
_DEEPEST = 50
"""Levels. PyYAML recurses in C: a file of a few thousand brackets ends the process."""
_PLAIN_KINDS = {"null", "bool", "int", "float", "str", "timestamp", "value", "seq", "map"}


@dataclass(slots=True)
class Document:
    """The values of a file and the position of each.

    :param value: mappings, lists, text, numbers, true/false, null.
    :param mistakes: what YAML allows and we do not: the same key twice, a value that contains itself.
    :param file: in which it stands; empty: there is only one.
    :param inherited: what a target has from ``defaults``: it stands there.
    """

    value: Any
    keys: MutableMapping[Path, Position] = field(default_factory=dict)
    values: MutableMapping[Path, Position] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    file: str = ""
    inherited: Collection[Path] = ()

    def position_of_key(self, path: Path) -> Position:
        """Where the key stands; of what is absent, where the nearest thing around it stands."""
        while path and path not in self.keys and path not in self.values:
            path = path[:-1]
        return self.keys.get(path) or self.values.get(path) or Position(1, 1, self.file)

    def position_of_missing(self, path: Path) -> Position:
        """Where what is missing could be written: beside what the target says itself, not in ``defaults``."""
        path = path[:-1]
        while path and path in self.inherited:
            path = path[:-1]
        return self.position_of_key(path)

    def position_of_value(self, path: Path) -> Position:
        return self.values.get(path) or self.position_of_key(path)


_MEASURE = f"more than {_MOST_VALUES} values or {_DEEPEST} levels, aliases resolved; is it the right file?"


class _TooMuchError(Exception):
    """:param position: where what may stand in a file is exceeded."""

    def __init__(self, position: Position, what: str) -> None:
        super().__init__(what)
        self.position = position


class _Node:
    """Reads composed nodes. Dates, `on`, `no` and `1:30` stay text, as in YAML 1.2."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.open_nodes: set[int] = set()
        self.count = 0

    def read(self, node: yaml.Node, path: Path) -> Any:
        self.note(node, path)
        self.document.values[path] = self.position(node)
        if node.tag.removeprefix(_STANDARD_TAG) not in _PLAIN_KINDS:
            self.mistake(node, path, f"the tag {node.tag} is not understood; write a plain value")
            return None
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        if id(node) in self.open_nodes:
            self.mistake(node, path, "contains itself")
            return None
        self.open_nodes.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.read(child, (*path, index)) for index, child in enumerate(node.value)]
            return self.read_mapping(node, path)
        finally:
            self.open_nodes.discard(id(node))

    def note(self, node: yaml.Node, path: Path) -> None:
        """:raises _TooMuchError: aliases make more of the file than anybody wrote."""
        self.count += 1
        if self.count > _MOST_VALUES or len(path) > _DEEPEST:
            raise _TooMuchError(self.position(node), _MEASURE)

    def read_mapping(self, node: yaml.Node, path: Path) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        # What is merged in is read first, so that a key written out keeps its own position.
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                merged = {**self.read_merged(value_node, path), **merged}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self.mistake(key_node, path, "expected a plain name as the key")
                continue
            key, child = key_node.value, (*path, key_node.value)
            if key in own:
                first = self.document.keys[child].line
                self.mistake(key_node, child, f"is given twice, first in line {first}; keep one of the two")
                continue
            self.document.keys[child] = self.position(key_node)
            own[key] = self.read(value_node, child)
        return {**merged, **own}

    def read_merged(self, node: yaml.Node, path: Path) -> dict[str, Any]:
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, Any] = {}
        for source in sources:
            if not isinstance(source, yaml.MappingNode) or id(source) in self.open_nodes:
                self.mistake(source, path, "expected << to name a mapping")
                continue
            self.note(source, path)
            self.open_nodes.add(id(source))
            # Of two merged mappings the first wins; keys written out win over both.
            merged = {**self.read_mapping(source, path), **merged}
            self.open_nodes.discard(id(source))
        return merged

    def mistake(self, node: yaml.Node, path: Path, what: str) -> None:
        self.document.mistakes.append(Mistake(self.position(node), dotted(path), what))

    def position(self, node: yaml.Node) -> Position:
        return Position(node.start_mark.line + 1, node.start_mark.column + 1, self.document.file)


def _scalar(node: yaml.ScalarNode) -> Hashable:
    text: str = node.value
    kind = node.tag.removeprefix(_STANDARD_TAG)
    if kind == "null":
        return None
    if kind == "bool":
        return _BOOLEANS.get(text, text)
    if kind in ("int", "float"):
        try:
            return int(text, 10) if kind == "int" else float(text)
        except ValueError:
            return text
    return text


def read_document(text: str, file: str = "") -> Document:
    """Parse one YAML document.

    A text that is not YAML gives a document with that as its only mistake.

    :param file: its name, for positions, where there are several.
    """
    document = Document(value=None, file=file)
    try:
        _refuse_deep(text, file)
        root = _composed(text)
        if root is not None:
            document.value = _Node(document).read(root, ())
    except yaml.YAMLError as error:
        document.mistakes.append(_syntax_mistake(error, file))
    except _TooMuchError as error:
        return Document(None, mistakes=[Mistake(error.position, "", str(error))], file=file)
    return document


def _composed(text: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        return cast("yaml.Node | None", loader.get_single_node())
    finally:
        loader.dispose()


def _refuse_deep(text: str, file: str) -> None:
    """:raises _TooMuchError: composing it could exhaust the stack; :raises YAMLError: it is no YAML."""
    loader, level = _Loader(text), 0
    try:
        while loader.check_event():
            event = loader.get_event()
            level += isinstance(event, yaml.CollectionStartEvent)
            level -= isinstance(event, yaml.CollectionEndEvent)
            if level > _DEEPEST:
                mark = event.start_mark
                raise _TooMuchError(Position(mark.line + 1, mark.column + 1, file), _MEASURE)
    finally:
        loader.dispose()


def _syntax_mistake(error: yaml.YAMLError, file: str) -> Mistake:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    position = Position(mark.line + 1, mark.column + 1, file) if mark else Position(1, 1, file)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be parsed"
    context = getattr(error, "context", None)
    return Mistake(position, "", f"not valid YAML: {problem}{f' ({context})' if context else ''}")
