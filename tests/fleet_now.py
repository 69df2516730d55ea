"""What a watch would have seen of such a target, and found: made up from its history."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from backstop.model.observation import (
    AccuracySeen,
    BackupSeen,
    ComponentSeen,
    ForecastSeen,
    KeySeen,
    Observation,
    RepositorySeen,
    SlotSeen,
    WalSeen,
    WindowSeen,
)
from tests.fleet_history import LOCAL, S3
from tests.fleet_troubles import KEY

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from tests.fleet_history import Kind, Made
    from tests.fleet_troubles import Trouble

SCHEDULES = {"dump": "0 1 * * *", "base": "0 3 * * *", "tree:media": "0 2 * * *", "tree:config": None}
RPO = {"dump": timedelta(hours=26), "base": timedelta(minutes=5)}


def observe(
    target: str,
    kinds: Sequence[Kind],
    made: Sequence[Made],
    *,
    trouble: Trouble,
    now: datetime,
    draw: random.Random,
) -> Observation:
    """Everything that is not expired, and a healthy archive, but for the trouble."""
    at = now - trouble.seen_ago
    here = [one for one in made if one.expired_at is None]
    loss = {LOCAL: timedelta(seconds=draw.uniform(0, 2)), S3: timedelta(seconds=draw.uniform(0.2, 4))}
    if trouble.name == "rpo":
        loss = dict.fromkeys(loss, timedelta(minutes=17))
    components = tuple(_component(kind.component, here, at=at, loss=min(loss.values())) for kind in kinds)
    repositories = tuple(_repository(name, here, trouble=trouble) for name in (LOCAL, S3))
    return Observation(
        target,
        at,
        took_seconds=draw.uniform(0.5, 3),
        components=components,
        repositories=repositories,
        windows=tuple(_windows(here, at=at, trouble=trouble)),
        wal=WalSeen(
            1,
            "5/3000060",
            dict(loss),
            {LOCAL: 0, S3: draw.randrange(200_000)},
            SlotSeen(f"backstop_{target.replace('-', '_')}", "active", draw.randrange(10**8), 10**10),
        )
        if here
        else None,
        keys=(
            KeySeen(
                KEY,
                "pending deletion" if trouble.name == "key" else "usable",
                now - timedelta(days=40),
                now + timedelta(days=50),
                len({one.label for one in here}),
            ),
        ),
        clock_offsets={"database": draw.uniform(-0.2, 0.2)},
        scratch_bytes=0,
        unseen=("repository s3 did not answer",) if trouble.name == "s3 down" else (),
    )


def _component(kind: str, here: Sequence[Made], *, at: datetime, loss: timedelta) -> ComponentSeen:
    by_label: dict[str, list[Made]] = defaultdict(list)
    for one in here:
        if one.component == kind:
            by_label[one.label].append(one)
    seen = [_seen(copies) for copies in by_label.values()]
    proven = [one for one in seen if one.proven_in]
    proofs = [one.proof_at for copies in by_label.values() for one in copies if one.matched and one.proof_at]
    component = ComponentSeen(
        kind,
        schedule=SCHEDULES[kind],
        rpo=RPO.get(kind),
        rto=timedelta(hours=1),
        backups=len(seen),
        proven_backups=len(proven),
    )
    if not seen:
        return replace(component, on_time=kind == "tree:config")
    newest = seen[-1]
    # Of what is backed up on change, nobody knows whether anything has changed since.
    by_backups = at - newest.snapshot_at if SCHEDULES[kind] else None
    restores = [one.restore_seconds for one in here if one.component == kind and one.proof_at][-20:]
    median = sorted(restores)[len(restores) // 2] if restores else 0.0
    return replace(
        component,
        newest=newest,
        proven=proven[-1] if proven else None,
        proven_at=max(proofs, default=None),
        on_time=kind == "tree:config" or at - newest.finished_at < timedelta(hours=26),
        loss=loss if kind == "base" else by_backups,
        forecast=ForecastSeen(median, median * 0.8, median * 1.4, len(restores)) if restores else None,
        accuracy=AccuracySeen(12, 10, 0.114, median * 0.114, at) if restores else None,
    )


def _seen(copies: Sequence[Made]) -> BackupSeen:
    first = copies[0]
    return BackupSeen(
        first.label,
        first.started_at,
        first.finished_at,
        (first.finished_at - first.started_at).total_seconds(),
        first.stored_bytes,
        first.plain_bytes,
        tuple(one.repository for one in copies),
        tuple(one.repository for one in copies if one.status == "proven"),
    )


def _repository(name: str, here: Sequence[Made], *, trouble: Trouble) -> RepositorySeen:
    location = "/var/backups/backstop" if name == LOCAL else "s3://backups-eu/backstop"
    if name == S3 and trouble.name == "s3 down":
        return RepositorySeen(name, location, False, None, "connection refused by s3.eu-central-1")
    own = [one for one in here if one.repository == name]
    return RepositorySeen(
        name,
        location,
        True,
        True,
        "",
        sum(one.stored_bytes for one in own),
        len(own),
        0,
        *((400 * 10**9, 2 * 10**12) if name == LOCAL else (None, None)),
        0.02,
    )


def _windows(here: Sequence[Made], *, at: datetime, trouble: Trouble) -> list[WindowSeen]:
    windows = []
    for name in (LOCAL, S3):
        bases = [one for one in here if one.component == "base" and one.repository == name]
        recent = [one for one in bases if at - one.finished_at < timedelta(days=91)]
        if not recent or (name == S3 and trouble.name == "s3 down"):
            continue
        cut = at - timedelta(days=9, hours=7) if trouble.name == "gap" else None
        before = [one for one in recent if cut and one.finished_at < cut]
        after = [one for one in recent if not cut or one.finished_at > cut + timedelta(hours=20)]
        if before and cut:
            windows.append(
                WindowSeen(
                    name,
                    1,
                    before[0].finished_at,
                    cut,
                    "1/28",
                    "4/A2000000",
                    tuple(one.label for one in before),
                    ends_because="0000000100000004000000A2 is missing",
                    gap=True,
                )
            )
        if after:
            windows.append(
                WindowSeen(
                    name,
                    1,
                    after[0].finished_at,
                    at - timedelta(seconds=1),
                    "4/B0000028",
                    "5/3000060",
                    tuple(one.label for one in after),
                    newest=True,
                )
            )
    return windows
