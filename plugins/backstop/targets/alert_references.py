"""What ``alerts`` and ``disaster.stakeholders`` say of targets, and must not say at all: secrets."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from backstop.targets.mistakes import Mistake, Path, did_you_mean, dotted

if TYPE_CHECKING:
    from backstop.targets.document import Document

# A display name (Slack's `username`) is none; the login of a mail server is in its connection.
_KEY = re.compile(
    r"(?i)(.*[_-])?(password|passwd|passphrase|secret|token|credentials?|authorization|"
    r"(api|access|private|routing|integration)[_-]?key)([_-].*)?"
)
_VALUE = re.compile(r"://[^/\s]*:[^/\s]*@|hooks\.slack\.com/|discord(app)?\.com/api/webhooks/")
_WHAT = "secrets do not belong in this file; put them into a connection and name its id"


def alert_mistakes(
    document: Document, alerts: Mapping[str, Any], targets: Collection[str]
) -> Iterator[Mistake]:
    """Targets that there are not, and what looks like a secret among the arguments of notifiers."""
    for level in ("critical", "warning"):
        yield from _notifiers(document, ("alerts", level), alerts.get(level), targets)


def stakeholder_mistakes(
    document: Document, name: str, target: Mapping[str, Any], targets: Collection[str]
) -> Iterator[Mistake]:
    """The same of those whom a target tells of a disaster. :param targets: names of all targets."""
    disaster = target.get("disaster")
    if isinstance(disaster, Mapping):
        place: Path = ("targets", name, "disaster", "stakeholders")
        yield from _notifiers(document, place, disaster.get("stakeholders"), targets)


def _notifiers(document: Document, place: Path, listed: Any, targets: Collection[str]) -> Iterator[Mistake]:
    for index, notifier in enumerate(listed if isinstance(listed, list) else ()):
        path: Path = (*place, index)
        if isinstance(notifier, Mapping):
            yield from _unknown_targets(document, path, notifier.get("only"), targets)
            yield from _secrets(document, path, notifier)


def _unknown_targets(
    document: Document, path: Path, only: Any, targets: Collection[str]
) -> Iterator[Mistake]:
    for position, name in enumerate(only if isinstance(only, list) else ()):
        if isinstance(name, str) and name not in targets:
            place = (*path, "only", position)
            what = f"there is no target {name!r}{did_you_mean(name, targets)}"
            yield Mistake(document.position_of_value(place), dotted(place), what)


def _secrets(document: Document, path: Path, value: Any) -> Iterator[Mistake]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            place = (*path, key)
            if _KEY.fullmatch(str(key)):
                yield Mistake(document.position_of_key(place), dotted(place), _WHAT)
            else:
                yield from _secrets(document, place, inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _secrets(document, (*path, index), inner)
    elif isinstance(value, str) and _VALUE.search(value):
        yield Mistake(document.position_of_value(path), dotted(path), _WHAT)
