"""What was read again when: ``<target>/meta/checks/<utc>-<repository id>.json``, one a finished check.

It decides nothing but where the next check begins, so it is not signed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backstop.errors import ObjectMissingError
from backstop.model.canonical import canonical_json, format_time, parse_time
from backstop.repository.description import refuse_newer

if TYPE_CHECKING:
    from datetime import datetime

    from backstop.storage.base import Storage

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class CheckRecord:
    """One finished check of one repository.

    :param start: where it began on the circle of :mod:`backstop.model.rotation`; ``end``: where the next one
        begins.
    :param objects: read, WAL among them; ``stored_bytes`` of them; ``damaged`` of them, before any healing.
    """

    started_at: datetime
    finished_at: datetime
    start: int
    end: int
    seed: int
    objects: int
    stored_bytes: int
    damaged: int
    healed: int

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "started_at": format_time(self.started_at),
            "finished_at": format_time(self.finished_at),
            # Not numbers: they have 64 bits, and JSON's have 53 in most programs.
            "start": f"{self.start:016x}",
            "end": f"{self.end:016x}",
            "seed": self.seed,
            "objects": self.objects,
            "stored_bytes": self.stored_bytes,
            "damaged": self.damaged,
            "healed": self.healed,
        }

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> CheckRecord:
        """:raises ValueError, KeyError, TypeError: it is none."""
        if raw["format"] != _FORMAT:
            raise ValueError(f"format {raw['format']!r}")
        return cls(
            started_at=parse_time(raw["started_at"]),
            finished_at=parse_time(raw["finished_at"]),
            start=int(raw["start"], 16),
            end=int(raw["end"], 16),
            seed=int(raw["seed"]),
            objects=int(raw["objects"]),
            stored_bytes=int(raw["stored_bytes"]),
            damaged=int(raw["damaged"]),
            healed=int(raw["healed"]),
        )


class CheckRecords:
    """Those of one target in one repository.

    :param repository_id: of that repository: records that were copied from another one do not count.
    """

    def __init__(self, storage: Storage, target: str, repository_id: str) -> None:
        self._storage = storage
        self._prefix = f"{target}/meta/checks/"
        self._suffix = f"-{repository_id}.json"

    def put(self, record: CheckRecord) -> None:
        """:raises StorageError: the repository did not take it; the next check begins where this one did."""
        name = f"{record.finished_at:%Y%m%dT%H%M%S%fZ}{self._suffix}"
        refuse_newer(self._storage)
        self._storage.put_once(f"{self._prefix}{name}", canonical_json(record.to_dict()))

    def newest(self, *, seed: int) -> CheckRecord | None:
        """The newest one of that seed that can be read; a damaged one only means that some is read twice."""
        keys = [info.key for info in self._storage.list(self._prefix) if info.key.endswith(self._suffix)]
        for key in sorted(keys, reverse=True):
            try:
                record = CheckRecord.from_dict(json.loads(self._storage.read(key)))
            except (
                ValueError,
                KeyError,
                TypeError,
                AttributeError,
                OverflowError,
                RecursionError,
                ObjectMissingError,
            ):
                continue
            if record.seed == seed:
                return record
        return None
