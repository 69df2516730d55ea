"""How far a check has come, in a file of the machine it runs on: a killed one goes on from there."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from backstop.model.canonical import format_time, parse_time

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from backstop.model.rotation import Arc


@dataclass(frozen=True, slots=True)
class Reached:
    """What has been done of one arc.

    :param distance: everything less far behind the arc's start has been read.
    :param damaged: what was wrong with which object, by key.
    """

    started_at: datetime
    distance: int = 0
    objects: int = 0
    stored_bytes: int = 0
    unjudged: int = 0
    damaged: dict[str, str] = field(default_factory=dict)

    def further(self, distance: int, *, stored_bytes: int, unjudged: bool) -> Reached:
        """One more object, at that distance, has been read."""
        return replace(
            self,
            distance=distance,
            objects=self.objects + 1,
            stored_bytes=self.stored_bytes + stored_bytes,
            unjudged=self.unjudged + unjudged,
        )


class Journal:
    """The file ``check-<target>-<repository>.json``; losing it costs reading some objects again."""

    def __init__(self, folder: Path, *, target: str, repository: str) -> None:
        self._path = folder / f"check-{target}-{repository}.json"

    def resume(self, arc: Arc, *, repository_id: str) -> Reached | None:
        """What was reached of exactly this arc of this repository; None: nothing that is known of."""
        try:
            raw = json.loads(self._path.read_bytes())
            if raw["arc"] != asdict(arc) or raw["repository_id"] != repository_id:
                return None
            reached = dict(raw["reached"])
            return Reached(**{**reached, "started_at": parse_time(reached["started_at"])})
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, arc: Arc, reached: Reached, *, repository_id: str) -> None:
        """Note it, whole or not at all. :raises OSError: it cannot be noted; the former note is kept."""
        document: dict[str, Any] = {
            "arc": asdict(arc),
            "repository_id": repository_id,
            "reached": {**asdict(reached), "started_at": format_time(reached.started_at)},
        }
        beside = self._path.with_suffix(".new")
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with beside.open("w") as file:
            json.dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)

    def remove(self) -> None:
        """The check is over."""
        self._path.unlink(missing_ok=True)
