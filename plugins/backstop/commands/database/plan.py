"""What a restore is going to do, for people to read and approve."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What a restore will do, small and without secrets, so that people can read and approve it.

    :param beside: the database that will be restored into; :param old: what the live one will be called.
    :param live_exists: False when the live database is gone, and the swap only has to rename.
    :param blockers: what would stop the swap if it came now, each named.
    :param warnings: what the approver should know.
    """

    target: str
    repository: str
    label: str
    database: str
    beside: str
    old: str
    owner: str
    live_exists: bool
    snapshot_at: str
    proven_at: str | None
    server_version: int
    plain_bytes: int
    stored_bytes: int
    tables: int
    rows: int
    blockers: tuple[str, ...]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {name.name: getattr(self, name.name) for name in fields(self)} | {
            "blockers": list(self.blockers),
            "warnings": list(self.warnings),
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> RestorePlan:
        return cls(
            **{
                **{name.name: raw[name.name] for name in fields(cls)},
                "blockers": tuple(raw["blockers"]),
                "warnings": tuple(raw["warnings"]),
            }
        )
