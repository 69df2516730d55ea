"""What the ``disaster`` sections say about the other sections of their target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from backstop.targets.mistakes import Mistake, Path, did_you_mean, dotted

if TYPE_CHECKING:
    from backstop.targets.document import Document


def disaster_mistakes(document: Document, targets: Mapping[str, Any]) -> Iterator[Mistake]:
    """Components that the target has not, or twice; a whole server that nobody knows how to replace."""
    for name, raw in targets.items():
        target = _mapping(raw)
        disaster = _mapping(target.get("disaster"))
        path: Path = ("targets", name, "disaster")
        yield from _order(document, (*path, "order"), disaster, target)
        recovery = _mapping(_mapping(target.get("cluster")).get("recovery"))
        if disaster.get("database") == "cluster" and not recovery.get("cutover"):
            place = (*path, "database")
            what = "cluster: describe cluster.recovery.cutover, which says how the live server is replaced"
            yield Mistake(document.position_of_value(place), dotted(place), what)


def _order(
    document: Document, path: Path, disaster: Mapping[str, Any], target: Mapping[str, Any]
) -> Iterator[Mistake]:
    order = disaster.get("order")
    if not isinstance(order, list):
        return
    known = ["database", *(f"tree:{tree}" for tree in _mapping(target.get("trees")))]
    for index, component in enumerate(order):
        place = (*path, index)
        if not isinstance(component, str):
            continue
        if component not in known:
            what = f"there is no component {component!r}{did_you_mean(component, known)}"
            yield Mistake(document.position_of_value(place), dotted(place), what)
        elif component in order[:index]:
            what = f"{component!r} is listed twice"
            yield Mistake(document.position_of_value(place), dotted(place), what)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
