"""Where the inventory keeps what the newest watch saw of each target."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from backstop.model.observation import Observation
from backstop.model.words import printable
from backstop.postgres.connection import source_errors
from backstop.repository.observed_losses import enter_losses
from backstop.sql import load_sql

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg
    from pydantic import TypeAdapter

    from backstop.postgres.connection import ClusterConnection


class Observations:
    """The table ``backup_observation`` of the inventory: one document a target.

    :raises SourceUnavailableError: from every method: the inventory does not answer.
    """

    def __init__(self, connection: ClusterConnection) -> None:
        self._connection = connection

    def store(self, observations: Iterable[Observation]) -> None:
        """Replace what was known of these targets, unless it is newer."""
        with self._errors(), self._connection.connect(autocommit=False) as session:
            for one in observations:
                session.execute(
                    load_sql("inventory/upsert_observation").encode(),
                    {"target": one.target, "observed_at": one.observed_at, "document": to_json(one)},
                )
                enter_losses(session, one)

    def all(self) -> tuple[Observation, ...]:
        """Of every target that was ever watched, by name."""
        with self._errors(), self._connection.connect() as session:
            return read_observations(session)

    def of(self, target: str) -> Observation | None:
        """Of one target; None: no watch has seen it yet."""
        with self._errors(), self._connection.connect() as session:
            return next(iter(read_observations(session, target)), None)

    def _errors(self) -> Any:
        connection = self._connection
        return source_errors(f"inventory {connection.location}", secret=connection.password)


def read_observations(
    session: psycopg.Connection[tuple[Any, ...]], target: str | None = None
) -> tuple[Observation, ...]:
    """The same in a session of the caller's; a document of another version of Backstop is left out."""
    rows = session.execute(load_sql("inventory/observations").encode(), {"target": target}).fetchall()
    return tuple(one for (document,) in rows if (one := from_json(document)) is not None)


def to_json(observation: Observation) -> str:
    """The document that is stored. It may quote names that others gave, which need not be text."""
    return json.dumps(_fit(_adapter().dump_python(observation, mode="json")))


def from_json(document: Any) -> Observation | None:
    """The inverse, of what psycopg makes of ``jsonb``; None: it is not of this version."""
    from pydantic import ValidationError

    try:
        return _adapter().validate_python(document)
    except ValidationError:
        return None


def _fit(value: Any) -> Any:
    """What ``jsonb`` takes."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable(name): _fit(one) for name, one in value.items()}
    return [_fit(one) for one in value] if isinstance(value, list | tuple) else value


@lru_cache(1)
def _adapter() -> TypeAdapter[Observation]:
    from pydantic import TypeAdapter

    return TypeAdapter(Observation)
