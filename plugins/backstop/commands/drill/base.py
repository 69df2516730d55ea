"""Recovers a cluster to the moment of the disaster, in a sandbox, and leaves it there stopped."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from backstop.commands.base.fetch import fetch_base
from backstop.commands.drill.pieces import Brought
from backstop.commands.drill.serving import server_sockets
from backstop.commands.drill.way import ClusterWay
from backstop.commands.recovery.preflight import stop_of
from backstop.commands.recovery.progress import RecoveryWatch
from backstop.commands.recovery.sources import route_of
from backstop.commands.wal.prefetch import Prefetcher, PrefetchSettings
from backstop.model.backup import BackupLabel
from backstop.model.drill_loss import loss_by_storage, loss_by_watch, reached_by
from backstop.model.recovery import TargetKind
from backstop.postgres.isolated_server import PORT
from backstop.postgres.isolation import choose_isolation
from backstop.postgres.recovery import RecoveredCluster, ServerChoice
from backstop.postgres.tools import PostgresTools
from backstop.repository.pins import pin

if TYPE_CHECKING:
    from datetime import datetime

    from backstop.commands.drill.pieces import Task
    from backstop.model.backup import Manifest
    from backstop.model.drill_loss import Loss
    from backstop.model.recovery import RecoveryPlan
    from backstop.postgres.recovery_end import RecoveryEnd


def recover_cluster(task: Task) -> Brought:
    """Fetch, replay, shut down. What it holds is looked at by whoever checks it.

    :raises BackstopError: it is not back.
    """
    planned, settings, folder = task.planned, task.settings, task.folder
    # Asked first: a worker that cannot isolate says so before it fetches anything.
    sandbox = choose_isolation(settings.isolation)
    if sandbox.kind == "none":
        folder.chmod(0o711)  # without a file system of its own the server walks through to its data
    way = ClusterWay(
        task.repository,
        settings.target,
        task.keyring,
        folder / "look",
        task.others,
        trusted_until=planned.trusted_until,
    )
    plan = way.plan(task.plan.disaster_at, now=task.clock(), base=planned.label, timeline=planned.timeline)
    tools = PostgresTools.find(plan.server_major, server=True)
    catalog = task.repository.catalog
    chain = [catalog.backup(BackupLabel(label)).manifest for label in plan.chain]
    with ExitStack() as stack:
        for manifest in chain:
            stack.enter_context(
                pin(
                    task.repository.storage,
                    settings.target,
                    manifest.label,
                    holder=task.holder,
                    clock=task.clock,
                )
            )
        with task.phases.phase("fetch"):
            base = fetch_base(
                task.repository,
                chain,
                keyring=task.keyring,
                tools=tools,
                destination=folder / "data",
                tablespaces=folder / "tablespaces",
                jobs=settings.database.jobs,
                progress=task.progress,
                owner=sandbox.owner,
            )
        choice = ServerChoice(tools, sandbox, superuser=settings.database.superuser, hide=settings.hide)
        cluster = RecoveredCluster(
            folder,
            data=folder / "data",
            spool=folder / "spool",
            choice=choice,
            stop=stop_of(plan),
            tablespaces=list(base.tablespaces.values()),
        )
        end, healed = _replay(task, way, plan, cluster, sandbox.owner)
    loss = _loss(task, way, plan, end)
    return Brought(
        recovered_to=_recovered_to(task, plan, end, chain[-1]),
        loss=loss.duration,
        loss_says=loss.says,
        bytes=base.size_bytes,
        segments=end.replayed_bytes // plan.segment_bytes,
        notes=(*plan.warnings, *healed),
        where={
            "data": str(folder / "data"),
            "socket": str(server_sockets(folder)),
            "port": PORT,
            "user": settings.database.superuser,
            "database": settings.database.dbname,
            "server_major": plan.server_major,
            "isolation": sandbox.description,
            "isolation_kind": sandbox.kind,
            "isolation_uid": sandbox.uid,
            "tablespaces": tuple(str(place) for place in base.tablespaces.values()),
            "checks": {
                "base_bytes": base.size_bytes,
                "replayed_bytes": end.replayed_bytes,
                "end_lsn": str(end.lsn),
            },
        },
    )


def _replay(
    task: Task, way: ClusterWay, plan: RecoveryPlan, cluster: RecoveredCluster, owner: int
) -> tuple[RecoveryEnd, tuple[str, ...]]:
    route = route_of(plan)
    prefetcher = Prefetcher(
        task.folder / "spool",
        sources=way.wal(plan.system_id),
        route=route,
        settings=PrefetchSettings(jobs=task.settings.database.jobs, owner=owner),
    )
    task.progress.phase("recover", total_bytes=route.size_bytes)
    with task.phases.phase("replay"), prefetcher, cluster:
        end = cluster.recover(
            at_most=plan.end_lsn,
            at_least=plan.window.base.end,
            check=prefetcher.check,
            on_replayed=RecoveryWatch(route, task.progress),
        )
        cluster.shut_down()
    return end, tuple(prefetcher.report.healed)


def _recovered_to(task: Task, plan: RecoveryPlan, end: RecoveryEnd, manifest: Manifest) -> datetime:
    """The moment whose state it is; of WAL that was replayed to its end the last commit tells."""
    if plan.target.kind is TargetKind.TIME:
        return task.plan.disaster_at
    return end.last_commit_at or manifest.snapshot_at


def _loss(task: Task, way: ClusterWay, plan: RecoveryPlan, end: RecoveryEnd) -> Loss:
    """As the repository stood at the moment of the disaster, whatever has been stored since."""
    moment = task.plan.disaster_at
    seen = loss_by_watch(moment, task.samples)
    if seen is not None:
        return seen
    parts = list(way.stored_parts(plan))
    reached = reached_by(moment, parts, start=plan.window.base.start, base_at=plan.window.base.finished_at)
    # When nothing is stored of what came later, nobody knows what that was.
    known = plan.target.kind is TargetKind.TIME or any(one.stored_at > moment for one in parts)
    return loss_by_storage(
        moment,
        reached,
        end=way.commits_before(moment, plan, behind=reached.lsn, end=end.lsn) if known else None,
        segment_bytes=plan.segment_bytes,
        rpo=task.planned.rpo,
    )
