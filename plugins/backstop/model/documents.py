"""Frozen dataclasses of ours as JSON documents that are signed, and read again years later. Pure."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from backstop.errors import IntegrityError
from backstop.model.canonical import format_time
from backstop.model.words import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Kind = TypeVar("Kind")


class Codec(Generic[Kind]):
    """Of one class. A field that is added later needs a default; one that is not known is left out."""

    def __init__(self, kind: type[Kind]) -> None:
        from pydantic import TypeAdapter

        self._adapter: TypeAdapter[Kind] = TypeAdapter(kind)

    def document(self, value: Kind) -> dict[str, Any]:
        """Of JSON's types alone: :func:`fit`."""
        document: dict[str, Any] = fit(self._adapter.dump_python(value))
        return document

    def read(self, document: Mapping[str, Any], *, name: str) -> Kind:
        """The inverse. :param name: of what is read, for the error.

        :raises IntegrityError: it is malformed, or a time in it has no zone.
        """
        from pydantic import ValidationError

        try:
            value = self._adapter.validate_python(document)
            naive = next((one for one in _moments(value) if one.tzinfo is None), None)
            if naive is not None:
                raise ValueError(f"{naive.isoformat()} has no time zone")
        except (ValidationError, ValueError) as error:
            raise IntegrityError(
                f"the document of {name} is malformed: {_first_line(error)}",
                hint="compare it with the copy in the other repository: `python -m backstop evidence verify`",
            ) from error
        return value


def fit(value: Any) -> Any:
    """What JSON, ``jsonb`` and UTF-8 take.

    Times as :func:`format_time` writes them, durations in seconds. Characters that cannot be printed are
    replaced, but for line breaks.
    """
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, str):
        return "\n".join(printable(line.replace("\t", " ")) for line in value.split("\n"))
    if isinstance(value, dict):
        return {printable(str(name)): fit(one) for name, one in value.items()}
    return [fit(one) for one in value] if isinstance(value, list | tuple) else value


def _moments(value: Any) -> Iterator[datetime]:
    if isinstance(value, datetime):
        yield value
    elif is_dataclass(value):
        for one in fields(value):
            yield from _moments(getattr(value, one.name))
    elif isinstance(value, tuple):
        for one in value:
            yield from _moments(one)


def _first_line(error: Exception) -> str:
    """Pydantic's first complaint, with the place; not the value, which may be long."""
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return str(error)
