"""Finds every mistake of a text, or of a target, at once, each with its position."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from backstop import __version__
from backstop.targets.defaults import DEFAULTS, check_defaults, with_defaults
from backstop.targets.document import Document, read_document
from backstop.targets.fields import checked_name
from backstop.targets.legacy_places import claimed_twice
from backstop.targets.mistakes import Mistake, Path, Position, did_you_mean, dotted
from backstop.targets.models import Configuration, Target
from backstop.targets.references import shared_mistakes, target_mistakes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from backstop.targets.section import Section

VERSION = 1
"""Of targets.yaml's format."""

_SECRET_KEY = re.compile(
    r"(?i)pas*(wor?d|wd|phrase)?|pwd|.*(^|_)(secret|token|password|passwd|passphrase)(_.*)?|"
    r"(aws_)?(access|private|api|encryption)_key(_.*)?|credentials?|login|user(name)?"
)

_EXPECTED = {
    "model_type": "expected a mapping",
    "model_attributes_type": "expected a mapping",
    "dict_type": "expected a mapping",
    "list_type": "expected a list",
    "string_type": "expected text",
    "string_too_short": "expected some text",
    "too_short": "expected at least one item",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "path_type": "expected an absolute path",
}


def check_text(text: str) -> tuple[Configuration | None, list[Mistake]]:
    """The configuration of a single file, or None and every mistake in the order of the file."""
    document = read_document(text)
    if document.value is None:
        return None, document.mistakes or [empty(document)]
    if newer := _newer(document):
        # What else it says would be misread: every key that is new looks like a slip of the pen.
        return None, [newer]
    named = document.value.get("targets") if isinstance(document.value, dict) else None
    names = [str(name) for name in named] if isinstance(named, dict) else []
    shared, mistakes = check_shared(document, names)
    # A default that is wrong by itself is so for every target.
    told = {(one.position, one.what) for one in mistakes}
    targets: dict[str, Target] = {}
    for name in names:
        target, wrong = check_target(document, document, name, names)
        mistakes += [one for one in wrong if (one.position, one.what) not in told]
        if target is not None:
            targets[name] = target
    mistakes += [wrong for _, wrong in mistakes_among(targets, lambda _: document)]
    if mistakes or shared is None:
        return None, sorted(set(mistakes))
    return shared.with_targets(targets), []


def empty(document: Document) -> Mistake:
    return Mistake(
        Position(1, 1, document.file), "", "the file is empty; docs/targets.md shows what goes into it"
    )


def check_shared(document: Document, names: Collection[str]) -> tuple[Configuration | None, list[Mistake]]:
    """All but the targets, and what is wrong with it.

    :param names: of all targets.
    """
    value = document.value
    if newer := _newer(document):
        return None, [newer]
    mistakes = [*document.mistakes, *shared_mistakes(document, names)]
    if isinstance(value, dict) and isinstance(value.get("targets"), dict):
        value = {**value, "targets": {}}
    sections: dict[int, type[Section]] = {id(document.value): Configuration}
    configuration = None
    try:
        configuration = Configuration.model_validate(value, context=sections)
    except ValidationError as error:
        mistakes += mistakes_of(document, sections, error)
    if isinstance(value, dict) and value.get(DEFAULTS) is not None:
        mistakes += check_defaults(document, mistakes_of)
    return configuration, mistakes


def check_target(
    document: Document, shared: Document, name: str, names: Collection[str]
) -> tuple[Target | None, list[Mistake]]:
    """One target with its defaults, and what is wrong with it.

    :param document: of the file that has it. :param shared: of what all targets share; may be the same.
    :param names: of all targets.
    """
    path: Path = ("targets", name)
    own = with_defaults(document, shared, name)
    mistakes = list(target_mistakes(own, name, names))
    sections: dict[int, type[Section]] = {}
    try:
        checked_name(name)
    except ValueError as error:
        mistakes.append(Mistake(own.position_of_key(path), dotted(path), str(error)))
    try:
        target = Target.model_validate(own.value["targets"][name], context=sections)
    except ValidationError as error:
        return None, [*mistakes, *mistakes_of(own, sections, error, below=path)]
    return (None if mistakes else target), mistakes


def mistakes_among(
    targets: Mapping[str, Target], document_of: Callable[[str], Document]
) -> Iterator[tuple[str, Mistake]]:
    """What is wrong with targets that are right one by one. :returns: by name of the target."""
    for name, path, what in claimed_twice(targets):
        yield name, Mistake(document_of(name).position_of_value(path), dotted(path), what)


def mistakes_of(
    document: Document,
    sections: Mapping[int, type[Section]],
    error: ValidationError,
    *,
    below: Path = (),
    left_out: Collection[str] = (),
) -> list[Mistake]:
    """What pydantic found, each where it stands.

    :param below: where in the document that begins which was validated.
    :param left_out: kinds of errors that are none here.
    """
    return [
        _mistake(document, sections, {**detail, "loc": (*below, *detail["loc"])})
        for detail in error.errors(include_url=False)
        if detail["type"] not in left_out
    ]


def _newer(document: Document) -> Mistake | None:
    version = document.value.get("version") if isinstance(document.value, dict) else None
    if type(version) is not int or version <= VERSION:
        return None
    what = (
        f"this file is for a newer Backstop; this is {__version__}, which reads version {VERSION}: upgrade "
        "Backstop (docs/upgrading.md)"
    )
    return Mistake(document.position_of_value(("version",)), "version", what)


def _mistake(document: Document, sections: Mapping[int, type[Section]], detail: Any) -> Mistake:
    kind, found = detail["type"], detail["input"]
    path = tuple(_own_path(document.value, detail["loc"], keep_last=kind in ("missing", "extra_forbidden")))
    if kind == "missing":
        return Mistake(document.position_of_missing(path), dotted(path), "is missing")
    if kind == "extra_forbidden":
        return Mistake(document.position_of_key(path), dotted(path), _unknown_key(document, sections, path))
    if detail["loc"][-1:] == ("[key]",):
        return Mistake(document.position_of_key(path), dotted(path), detail["ctx"]["error"].args[0])
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        return _wrong_choice(document, path, detail)
    return Mistake(
        document.position_of_value(path), dotted(path), f"{_expected(detail)}, found {shown(found)}"
    )


def _own_path(value: Any, loc: tuple[str | int, ...], *, keep_last: bool) -> Iterator[str | int]:
    """pydantic's location without what it adds of its own: names of union members, ``[key]``."""
    for index, part in enumerate(loc):
        is_last = index == len(loc) - 1
        if (isinstance(value, dict) and part in value) or (isinstance(value, list) and isinstance(part, int)):
            value = value[part]  # type: ignore[index]
            yield part
        elif is_last and keep_last:
            yield part


def _unknown_key(document: Document, sections: Mapping[int, type[Section]], path: Path) -> str:
    key = str(path[-1])
    if _SECRET_KEY.fullmatch(key):
        return (
            "secrets and logins do not belong in this file; put them into the connection and name its conn_id"
        )
    parent: Any = document.value
    for part in path[:-1]:
        parent = parent[part]
    section = sections.get(id(parent))
    return f"unknown key{did_you_mean(key, section.model_fields if section else ())}"


def _wrong_choice(document: Document, path: Path, detail: Any) -> Mistake:
    """A section whose form depends on one of its keys (``type``, ``storage``)."""
    selector = detail["ctx"]["discriminator"].strip("'")
    place = (*path, selector)
    if detail["type"] == "union_tag_not_found":
        choices = {"type": "posix or s3", "storage": "local or aws-kms"}.get(
            selector, "one of the known forms"
        )
        where = document.position_of_missing(place)
        return Mistake(where, dotted(place), f"is missing; expected {choices}")
    known = re.findall(r"'([^']+)'", detail["ctx"]["expected_tags"])
    found = str(detail["ctx"]["tag"])
    what = f"expected {' or '.join(known)}, found {shown(found)}{did_you_mean(found, known)}"
    return Mistake(document.position_of_value(place), dotted(place), what.split("; known:")[0])


def _expected(detail: Any) -> str:
    kind = detail["type"]
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    if kind == "literal_error":
        return f"expected {detail['ctx']['expected']}"
    if kind.startswith("date_"):
        return "expected a day such as 2026-11-01"
    message: str = _EXPECTED.get(kind) or detail["msg"].replace("Input should be", "expected", 1)
    return message


def shown(found: Any) -> str:
    """What stands in the file, short, and never with the credentials of a URL."""
    if isinstance(found, dict):
        return "a mapping"
    if isinstance(found, list):
        return "a list"
    if found is None:
        return "nothing"
    if isinstance(found, bool):
        return str(found).lower()
    text = str(found)
    if re.search(r"://[^/]*@|(?i:password)", text):
        return "something with credentials in it"
    return (
        repr(text if len(text) <= 60 else f"{text[:57]}...") if not isinstance(found, int | float) else text
    )
