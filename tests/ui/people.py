"""People whom a gate of the tests knows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastapi import HTTPException

if TYPE_CHECKING:
    from collections.abc import Collection

    from fastapi import Request


@dataclass
class Person:
    """A user as the gate knows them.

    :param reads: DAGs they may read; None: all. :param triggers: likewise.
    """

    name: str
    reads: Collection[str] | None = None
    triggers: Collection[str] | None = None

    def get_name(self) -> str:
        return self.name

    def get_id(self) -> str:
        return self.name


@dataclass
class Doors:
    """A gate that knows people by their name, which they send as their token.

    :param everybody: who it is that sends none; None: nobody.
    """

    people: dict[str, Person] = field(default_factory=dict)
    everybody: Person | None = None

    async def user(self, request: Request) -> tuple[Any, str]:
        name = request.headers.get("authorization", "").removeprefix("Bearer ")
        found = self.people.get(name, self.everybody)
        if found is None:
            raise HTTPException(401)
        return found, found.name

    def readable(self, user: Person, dag_ids: Collection[str]) -> set[str]:
        return set(dag_ids) if user.reads is None else set(dag_ids) & set(user.reads)

    def reads_every_dag(self, user: Person) -> bool:
        return user.reads is None

    def may_trigger(self, user: Person, dag_id: str) -> bool:
        return user.triggers is None or dag_id in user.triggers
