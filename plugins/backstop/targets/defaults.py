"""``defaults``: what every target has that says nothing else, merged under each."""

from __future__ import annotations

from collections import ChainMap
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from backstop.targets.document import Document
from backstop.targets.mistakes import Mistake, Path
from backstop.targets.models import Target
from backstop.targets.trees import Tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from backstop.targets.mistakes import Position
    from backstop.targets.section import Section

DEFAULTS = "defaults"
EACH_TREE = "*"
"""Below ``defaults.trees``: of every tree that a target has, whatever it is called."""

_BY_HAND = "schedule"
"""Where ``null`` says something: at no time by itself."""
_NOT_ALONE = ("missing", "union_tag_not_found")
"""What a default may lack: each target says it itself."""


def check_defaults(document: Document, mistakes_of: Callable[..., list[Mistake]]) -> list[Mistake]:
    """What is wrong with them whatever a target says.

    :param mistakes_of: turns what pydantic found into mistakes.
    """
    value = document.value[DEFAULTS]
    if not isinstance(value, dict):
        return [Mistake(document.position_of_value((DEFAULTS,)), DEFAULTS, "expected a mapping")]
    trees = value.get("trees")
    each = trees.get(EACH_TREE) if isinstance(trees, dict) else None
    alone = value
    if isinstance(trees, dict) and EACH_TREE in trees:
        alone = {**value, "trees": {name: tree for name, tree in trees.items() if name != EACH_TREE}}
    mistakes: list[Mistake] = []
    for model, part, path in ((Target, alone, (DEFAULTS,)), (Tree, each, (DEFAULTS, "trees", EACH_TREE))):
        sections: dict[int, type[Section]] = {id(value): Target}
        try:
            if part is not None:
                model.model_validate(part, context=sections)
        except ValidationError as error:
            mistakes += mistakes_of(document, sections, error, below=path, left_out=_NOT_ALONE)
    return mistakes


def with_defaults(document: Document, shared: Document, name: str) -> Document:
    """What all targets share, and this target alone, with its defaults; every value knows where it stands.

    :param document: has the target below ``targets``; where it is a file of several, it may have defaults of
        its own, which win over those of all.
    :param shared: has the defaults of all; may be the same.
    """
    own, path = document.value["targets"][name], ("targets", name)
    keys: dict[Path, Position] = {}
    values: dict[Path, Position] = {}
    inherited: set[Path] = set()
    for layer in [document] if document is shared else [document, shared]:
        defaults = layer.value.get(DEFAULTS)
        if not (isinstance(defaults, dict) and isinstance(own, dict)):
            continue
        merge = _Merge()
        own = merge.merged(_for_trees_of(own, defaults, merge), own, (DEFAULTS,), path)
        inherited |= merge.origins.keys()
        keys |= {here: layer.keys[there] for here, there in merge.origins.items() if there in layer.keys}
        values |= {
            here: layer.values[there] for here, there in merge.origins.items() if there in layer.values
        }
    return Document(
        value={**shared.value, "targets": {name: own}},
        keys=ChainMap(keys, document.keys, shared.keys),
        values=ChainMap(values, document.values, shared.values),
        file=document.file,
        inherited=inherited,
    )


class _Merge:
    """:ivar origins: by path of the target, where in the defaults that stands which it has from there."""

    def __init__(self) -> None:
        self.origins: dict[Path, Path] = {}
        self.redirected: dict[Path, Path] = {}

    def merged(self, default: Any, own: Any, origin: Path, path: Path) -> Any:
        """Mappings are merged, anything else is replaced. ``null`` takes what is there away."""
        if not (isinstance(default, dict) and isinstance(own, dict)):
            return own
        result: dict[str, Any] = {}
        for key, value in default.items():
            there, here = (*origin, key), (*path, key)
            there = self.redirected.get(there, there)
            if key not in own:
                result[key] = value
                self.stand(value, there, here)
            elif own[key] is not None or key == _BY_HAND:
                result[key] = self.merged(value, own[key], there, here)
        return result | {key: value for key, value in own.items() if key not in default}

    def stand(self, value: Any, origin: Path, path: Path) -> None:
        self.origins[path] = self.redirected.get(origin, origin)
        if isinstance(value, dict | list):
            for key, child in value.items() if isinstance(value, dict) else enumerate(value):
                self.stand(child, (*origin, key), (*path, key))


def _for_trees_of(own: dict[str, Any], defaults: dict[str, Any], merge: _Merge) -> dict[str, Any]:
    """The defaults, with those of each tree below every tree that this target has."""
    trees = defaults.get("trees")
    if not isinstance(trees, dict) or EACH_TREE not in trees:
        return defaults
    each, named = trees[EACH_TREE], {name: one for name, one in trees.items() if name != EACH_TREE}
    has = own.get("trees")
    place: Path = (DEFAULTS, "trees")
    result = dict(named)
    for name in {**named, **(has if isinstance(has, dict) else {})}:
        if name not in named and isinstance(has, dict) and has[name] is None:
            continue
        if name in named:
            before = merge.origins
            merge.origins = {}
            result[name] = merge.merged(each, named[name], (*place, EACH_TREE), (*place, name))
            merge.redirected |= merge.origins
            merge.origins = before
        elif each is not None:
            result[name] = each
            there: Path = (*place, name)
            merge.redirected[there] = (*place, EACH_TREE)
    return {**defaults, "trees": result}
