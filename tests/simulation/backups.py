"""How each kind of backup comes about here: payload first, then, perhaps much later, the manifest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from backstop.model.backup import BackupKind, BackupLabel
from tests.simulation.making import Draft

if TYPE_CHECKING:
    from tests.simulation.chronicle import Made
    from tests.simulation.world import Protected, World


@dataclass(frozen=True)
class Begun:
    """A backup between its payload and its manifest; one that dies there leaves orphans."""

    world: World
    draft: Draft
    where: list[str]

    def publish(self) -> Made:
        """Where the repository still answers; with what it was begun with."""
        where = [name for name in self.where if not self.world.shelves[name].down]
        return self.world.publish(self.draft, where)


def begin_dump(world: World, target: Protected) -> Begun:
    label, attempt, where = _start(world, BackupKind.DUMP)
    folder = f"{target.name}/data/database/{label}/{attempt}"
    names = ["toc", "globals", "fingerprint", *(f"t/{n}" for n in range(1, world.dice.randint(2, 4)))]
    keys = _put(world, folder, names, where)
    return Begun(world, _draft(world, target, label, attempt, keys, target.rows), where)


def begin_base(world: World, target: Protected, kind: BackupKind) -> Begun:
    """An incremental one becomes a full one where no parent is in every repository that answers.

    The WAL up to its end is stored before the manifest may be (which :func:`end_base` sees to).
    """
    where = world.reachable()
    chain: tuple[str, ...] = ()
    if kind is BackupKind.INCREMENTAL:
        cluster = target.cluster
        held = [made for made in world.in_all(target.name, where) if made.cluster is cluster]
        whole = [made for made in held if set(made.needs) <= {one.label for one in held}]
        # What an old primary wrote after the promotion is on no way to here.
        whole = [made for made in whole if _leads_here(made)]
        if not whole:
            kind = BackupKind.FULL
        else:
            chain = (*whole[-1].needs, whole[-1].label)
    label, attempt, where = _start(world, kind)
    folder = f"{target.name}/data/database/{label}/{attempt}"
    keys = _put(world, folder, ["backup_manifest", "base/000001", "base/000002"], where)
    cluster = target.cluster
    start = cluster.position
    cluster.write(world.dice.choice((0.01, 0.4, 1.3)))
    draft = _draft(
        world, target, label, attempt, keys, 0,
        chain=chain, timeline=cluster.timeline, start=start, end=cluster.position,
    )  # fmt: skip
    world.ship_wal(target)
    return Begun(world, draft, where)


def _leads_here(made: Made) -> bool:
    cluster = made.cluster
    way = cluster.way_to(cluster.timeline)
    return any(
        timeline == made.timeline and begin <= made.start and (end is None or made.end <= end)
        for timeline, begin, end in way
    )


def begin_tree(world: World, target: Protected, tree: str) -> Begun:
    """As the program does it: packs of the newest backup, by label, that every repository holds stay where
    they are; what one of them has lost is stored anew."""
    kind = BackupKind.TREE
    label, attempt, where = _start(world, kind, tree=tree)
    folder = f"{target.name}/data/trees/{tree}/{label}/{attempt}"
    held = [made for made in world.in_all(target.name, where) if made.group == tree]
    previous = max(held, key=lambda made: made.label, default=None)
    known = previous.keys if previous else frozenset()
    usable = {key for key in known if all(key in world.shelves[name] for name in where)}
    kept = [pack for pack in target.packs[tree] if pack in usable]
    lost = len(target.packs[tree]) - len(kept)
    # Content changes: a pack of which nothing is left in the tree is not listed any more.
    kept = [pack for pack in kept if world.dice.random() > 0.04]
    fresh = world.dice.randint(1, 2) + (1 if lost else 0)
    new = _put(world, folder, [f"packs/{n}" for n in range(1, fresh + 1)], where)
    target.packs[tree] = [*kept, *new]
    keys = (*target.packs[tree], *_put(world, folder, ["files"], where))
    return Begun(world, _draft(world, target, label, attempt, keys, target.files[tree]), where)


def _start(world: World, kind: BackupKind, *, tree: str = "") -> tuple[BackupLabel, str, list[str]]:
    label = BackupLabel.at(world.clock(), kind, tree=tree)
    return label, f"{world.dice.getrandbits(64):016x}", world.reachable()


def _put(world: World, folder: str, names: list[str], where: list[str]) -> tuple[str, ...]:
    keys = tuple(f"{folder}/{name}" for name in names)
    for key in keys:
        world.put(key, where)
    return keys


def _draft(
    world: World,
    target: Protected,
    label: BackupLabel,
    attempt: str,
    keys: tuple[str, ...],
    content: int,
    **physical: object,
) -> Draft:
    started_at: datetime = world.clock()
    return Draft(
        target=target.name,
        label=label,
        attempt=attempt,
        started_at=started_at,
        finished_at=started_at + timedelta(minutes=world.dice.randint(1, 20)),
        keys=keys,
        content=content,
        cluster=None if label.tree else target.cluster,
        **physical,
    )
