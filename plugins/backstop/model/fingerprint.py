"""What a database contained in one snapshot, and how two such accounts differ. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from backstop.errors import IntegrityError
from backstop.model.canonical import sha256_hex

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class TableContent:
    """A table's rows in the snapshot.

    :param name: quoted, schema-qualified: ``public."Table A"``.
    :param content: decimal text of the sum of all rows' 64-bit hashes, which no order of rows changes; None
        with ``fingerprint: counts``.
    """

    name: str
    rows: int
    content: str | None


@dataclass(frozen=True, slots=True)
class SequenceValue:
    """A sequence as the dump sets it (sequences ignore snapshots)."""

    name: str
    last_value: int
    is_called: bool


@dataclass(frozen=True, slots=True)
class SchemaEntry:
    """One object's definition, from the dump's table of contents.

    :param identity: ``TABLE public.equipment``; names the object in a difference.
    :param sha256: of its normalised SQL text, owner and ACL included.
    """

    identity: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Everything that a restored copy must equal."""

    tables: tuple[TableContent, ...]
    large_objects: TableContent
    sequences: tuple[SequenceValue, ...]
    schema: tuple[SchemaEntry, ...]
    database: Mapping[str, Any]
    """Encoding, locale, owner, ACL, comment, settings: see include/sql/catalog/database_properties.sql."""
    materialized_views: tuple[str, ...] = ()
    """Names only: contents are recomputed on restore."""
    bootstrap_superuser: str = "postgres"
    """The role that initdb made; grants of predefined roles name it as grantor."""

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)

    @property
    def counts_only(self) -> bool:
        """Whether rows were counted, not hashed."""
        return any(table.content is None for table in self.tables)

    @property
    def schema_sha256(self) -> str:
        lines = (f"{entry.identity} {entry.sha256}" for entry in self.schema)
        return sha256_hex("\n".join(sorted(lines)).encode())

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Fingerprint:
        """:raises IntegrityError: when the document is malformed."""
        try:
            return cls(
                tables=tuple(TableContent(**table) for table in raw["tables"]),
                large_objects=TableContent(**raw["large_objects"]),
                sequences=tuple(SequenceValue(**value) for value in raw["sequences"]),
                schema=tuple(SchemaEntry(**entry) for entry in raw["schema"]),
                database=raw["database"],
                materialized_views=tuple(raw["materialized_views"]),
                bootstrap_superuser=raw["bootstrap_superuser"],
            )
        except (KeyError, TypeError) as error:
            raise IntegrityError(
                f"fingerprint is malformed: {error}", hint="choose another backup"
            ) from error


def differences(expected: Fingerprint, found: Fingerprint) -> list[str]:
    """One sentence for each way in which the restored copy is not the source; empty when equal."""
    return [
        *_content(expected.tables, found.tables),
        *_content((expected.large_objects,), (found.large_objects,)),
        *_sequences(expected.sequences, found.sequences),
        *_schema(expected.schema, found.schema),
        *_database(expected.database, found.database),
        *_names("materialized view", expected.materialized_views, found.materialized_views),
    ]


def _content(expected: Iterable[TableContent], found: Iterable[TableContent]) -> list[str]:
    ours = {table.name: table for table in expected}
    theirs = {table.name: table for table in found}
    sentences = _names("table", ours, theirs)
    for name in sorted(ours.keys() & theirs.keys()):
        before, after = ours[name], theirs[name]
        if before.rows != after.rows:
            sentences.append(f"table {name}: {before.rows} rows in the backup, {after.rows} restored")
        elif before.content is not None and before.content != after.content:
            sentences.append(f"table {name}: {before.rows} rows, but their contents differ")
    return sentences


def _sequences(expected: Iterable[SequenceValue], found: Iterable[SequenceValue]) -> list[str]:
    ours = {value.name: value for value in expected}
    theirs = {value.name: value for value in found}
    sentences = _names("sequence", ours, theirs)
    for name in sorted(ours.keys() & theirs.keys()):
        before, after = ours[name], theirs[name]
        if before != after:
            sentences.append(
                f"sequence {name}: {before.last_value} (called: {before.is_called}) in the backup, "
                f"{after.last_value} (called: {after.is_called}) restored"
            )
    return sentences


def _schema(expected: Iterable[SchemaEntry], found: Iterable[SchemaEntry]) -> list[str]:
    ours = {entry.identity: entry.sha256 for entry in expected}
    theirs = {entry.identity: entry.sha256 for entry in found}
    sentences = _names("definition of", ours, theirs)
    sentences += [
        f"definition of {identity} differs"
        for identity in sorted(ours.keys() & theirs.keys())
        if ours[identity] != theirs[identity]
    ]
    return sentences


def _database(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    return [
        # Values of settings may be secrets, and these sentences are published in proofs.
        "database settings (ALTER DATABASE … SET) differ"
        if name == "settings"
        else f"database {name}: {expected.get(name)!r} in the backup, {found.get(name)!r} restored"
        for name in sorted({*expected, *found})
        if expected.get(name) != found.get(name)
    ]


def _names(what: str, expected: Iterable[str], found: Iterable[str]) -> list[str]:
    ours, theirs = set(expected), set(found)
    return [f"{what} {name}: missing from the restored copy" for name in sorted(ours - theirs)] + [
        f"{what} {name}: not in the backup, but in the restored copy" for name in sorted(theirs - ours)
    ]
