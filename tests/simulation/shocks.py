"""Troubles that change the world on the day they begin, and the people who look at them afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.model.lsn import DEFAULT_SEGMENT_BYTES as SEGMENT
from tests.simulation.world import Protected
from tests.simulation.year import BACK_IN_TIME, OLD_PRIMARY_WENT_ON

if TYPE_CHECKING:
    from tests.simulation.world import World
    from tests.simulation.year import Trouble, Year


def strike(world: World, trouble: Trouble) -> None:
    """Let it happen, now."""
    happen = {
        "promotion": _promote,
        "pg_upgrade": _upgrade,
        "renamed": _rename,
        "rows drop": _drop_rows,
        "files drop": _drop_files,
        "no keys": _lose_slot,
    }.get(trouble.what)
    if happen:
        happen(world, trouble)


def _promote(world: World, trouble: Trouble) -> None:
    """A standby takes over; or, before that, the old primary archived for a while what nobody else has; or it
    is a recovery to a point in time: the new timeline begins before the newest base backups."""
    cluster = world.current.cluster
    world.ship_wal(world.current)
    at = cluster.position
    if trouble.value == OLD_PRIMARY_WENT_ON:
        cluster.write(1.7)
        world.ship_wal(world.current)
        cluster.position = at
    elif trouble.value == BACK_IN_TIME:
        cluster.position = max(SEGMENT, at - world.dice.randint(1, 8) * SEGMENT // 2)
    world.put(cluster.promote(), world.reachable())
    cluster.write(0.2)
    world.ship_wal(world.current)


def _upgrade(world: World, trouble: Trouble) -> None:
    """Another system identifier, the first timeline again, positions near the beginning."""
    target = world.current
    world.ship_wal(target)
    target.cluster = world.new_cluster(target.name)


def _rename(world: World, trouble: Trouble) -> None:
    """The new name begins with nothing; it begins with the old one, too."""
    old = world.current
    world.ship_wal(old)
    old.active = False
    cluster = old.cluster
    new = Protected(
        f"{old.name}-eu", world.new_cluster(f"{old.name}-eu"), rows=old.rows, files=dict(old.files)
    )
    # The same cluster goes on under another name: its positions do not start anew.
    new.cluster.system_id = cluster.system_id
    new.cluster.timeline, new.cluster.position = cluster.timeline, cluster.position
    new.cluster.shipped = cluster.position // SEGMENT * SEGMENT
    new.cluster.switches = dict(cluster.switches)
    world.targets.append(new)


def _drop_rows(world: World, trouble: Trouble) -> None:
    world.current.rows = world.current.rows // 3
    world.chronicle.drops[world.current.name, "dump"] = world.now


def _drop_files(world: World, trouble: Trouble) -> None:
    world.current.files["media"] //= 3
    world.chronicle.drops[world.current.name, "media"] = world.now


def _lose_slot(world: World, trouble: Trouble) -> None:
    """Without keys nothing is archived; where the slot is lost meanwhile, there is a gap for good."""
    if trouble.value:
        cluster = world.current.cluster
        cluster.write(3.0)
        cluster.shipped = cluster.position // SEGMENT * SEGMENT


def accept_drops(world: World, year: Year, day: int) -> None:
    """Once the time is over somebody looks at what has been backed up since, and says that it is meant.

    A drop that nothing has been backed up of yet, nobody can look at.
    """
    for (target, group), since in list(world.chronicle.drops.items()):
        what = {"dump": "rows drop", "media": "files drop"}[group]
        smaller = [
            made
            for made in world.chronicle.made.values()
            if (made.target, made.group) == (target, group) and made.at > since
        ]
        if smaller and what not in year.today(day):
            del world.chronicle.drops[target, group]
            world.chronicle.accepted.update((one.target, one.label) for one in smaller)
