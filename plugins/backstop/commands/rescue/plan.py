"""Where rescued tables go, and what a rescue is going to do, for people to read."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from backstop.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backstop.model.table_patterns import TableName

_NAME_BYTES = 63


@dataclass(frozen=True, slots=True)
class Destination:
    """Where rescued tables go: a schema or a database, which must not exist yet.

    :param kind: ``schema`` of the live database, or ``database`` on the same server.
    """

    kind: str
    name: str

    def __post_init__(self) -> None:
        # PostgreSQL would cut a longer name, and the cut one might be somebody's.
        if not 1 <= len(self.name.encode()) <= _NAME_BYTES or self.name.startswith("pg_"):
            raise ConfigurationError(
                f"{self.name!r} is no name for a new {self.kind}",
                hint=f"at most {_NAME_BYTES} bytes, and not beginning with pg_",
            )

    def place(self, table: TableName) -> TableName:
        return (self.name, table[1]) if self.kind == "schema" else table


@dataclass(frozen=True, slots=True)
class RescuePlan:
    """What a rescue will do, for people.

    :param tables: as they will be called: ``rescued."Table A"`` by ``public."Table A"``.
    """

    source: str
    into: str
    tables: Mapping[str, str]
    rows: int | None
    left_out: tuple[str, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "left_out": list(self.left_out), "notes": list(self.notes)}
