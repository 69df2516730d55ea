"""A year of one target's backups, as the inventory would have it: made up, the same for the same seed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

LOCAL, S3 = "local", "s3"
KEPT = {LOCAL: timedelta(days=30), S3: timedelta(days=90)}
GB = 1_000_000_000
MONTH_START = 1


@dataclass(frozen=True, slots=True)
class Kind:
    """How often a kind is backed up, and how large it is.

    :param component: as observations and findings name it; :param suffix: of its labels.
    """

    component: str
    suffix: str
    hour: int
    bytes_per_day: float
    size_bytes: int
    seconds_per_gb: float
    chance: float = 1.0


@dataclass(frozen=True, slots=True)
class Made:
    """One backup in one repository, with the verification that it had there."""

    target: str
    label: str
    component: str
    repository: str
    started_at: datetime
    finished_at: datetime
    stored_bytes: int
    plain_bytes: int
    content: int
    proof_at: datetime | None
    matched: bool
    restore_seconds: float
    expired_at: datetime | None
    sha256: str = field(repr=False)

    @property
    def kind(self) -> str:
        """As the column has it."""
        return self.label.split("-")[1]

    @property
    def status(self) -> str:
        if self.expired_at is not None:
            return "expired"
        return "completed" if self.proof_at is None else "proven" if self.matched else "failed"


def kinds_of(draw: random.Random) -> tuple[Kind, ...]:
    """A target of a size of its own: database, cluster, two trees."""
    size = int(draw.lognormvariate(1.5, 1.0) * GB)
    growth = size * draw.uniform(0, 0.001)
    return (
        Kind("dump", "dump", 1, growth, size, 9.0),
        Kind("base", "full", 3, growth * 1.4, int(size * 1.4), 5.0),
        Kind("tree:media", "tree-media", 2, growth * 3, size * 4, 2.0),
        Kind("tree:config", "tree-config", 5, 0, 300_000, 9.0, chance=0.12),
    )


def history(
    target: str,
    kinds: tuple[Kind, ...],
    *,
    days: int,
    now: datetime,
    draw: random.Random,
    stopped: dict[str, int],
) -> Iterator[Made]:
    """Every backup, oldest first.

    :param stopped: by kind, for how many days it has not been backed up; by ``proof:<kind>``, for how many
        its backups have failed to be proven.
    """
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for day in range(days, -1, -1):
        for kind in kinds:
            at = midnight - timedelta(days=day) + timedelta(hours=kind.hour, seconds=draw.randrange(40))
            missed = draw.random() < 0.004 or day < stopped.get(kind.component, 0)
            if at + timedelta(hours=1) > now or missed or draw.random() > kind.chance:
                continue
            yield from _in_each_repository(
                target,
                kind,
                at,
                now=now,
                age=days - day,
                draw=draw,
                unproven=day < stopped.get(f"proof:{kind.component}", 0),
            )


def _in_each_repository(
    target: str, kind: Kind, at: datetime, *, now: datetime, age: int, draw: random.Random, unproven: bool
) -> Iterator[Made]:
    suffix, share = kind.suffix, 1.0
    if kind.component == "base" and at.weekday() != 6:
        suffix, share = "incr", draw.uniform(0.03, 0.08)
    plain = int((kind.size_bytes + kind.bytes_per_day * age) * draw.gauss(1, 0.01) * share)
    stored = int(plain * 0.28)
    seconds = 4 + plain / GB * kind.seconds_per_gb * draw.uniform(0.9, 1.2)
    label = f"{at:%Y%m%dT%H%M%SZ}-{suffix}"
    fails = unproven or draw.random() < 0.003
    sha256 = hashlib.sha256(f"{target}/{label}".encode()).hexdigest()
    for repository in (LOCAL, S3):
        if repository == S3 and draw.random() < 0.002:
            continue  # it was down, and nobody topped it up
        finished = at + timedelta(seconds=seconds * (1 if repository == LOCAL else 1.3))
        proof_at: datetime | None = finished + timedelta(minutes=draw.randrange(5, 90))
        if draw.random() < 0.01 or (proof_at and proof_at > now):
            proof_at = None
        leaves = at + KEPT[repository] + timedelta(days=1, hours=4)
        stays = repository == S3 and at.day == MONTH_START
        yield Made(
            target,
            label,
            kind.component,
            repository,
            at,
            finished,
            stored,
            plain,
            content=plain // 120,
            proof_at=proof_at,
            matched=not fails,
            restore_seconds=seconds * draw.uniform(1.2, 1.9),
            expired_at=None if stays or leaves > now else leaves,
            sha256=sha256,
        )
