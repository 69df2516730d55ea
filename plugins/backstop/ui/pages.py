"""The Recoverability pages: all targets, one target, one backup. Nothing but the inventory is asked."""

# ruff: noqa: TC003 FastAPI evaluates the annotations
from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from backstop.commands.recoverability.backup import read_backup
from backstop.commands.recoverability.overview import read_overview
from backstop.commands.recoverability.target import read_target
from backstop.commands.watch.configuration import judge_configuration
from backstop.errors import NotFoundError
from backstop.model.backup import BackupLabel
from backstop.ui.charts.panels import draw_panels
from backstop.ui.charts.timeline import draw_timeline
from backstop.ui.paths import root_of
from backstop.ui.pools import closed_pools
from backstop.ui.reading import Reading
from backstop.ui.rehearsals import drill_line, rehearsals_of
from backstop.ui.rendering import render

if TYPE_CHECKING:
    from backstop.model.finding import Finding
    from backstop.postgres.connection import ClusterConnection
    from backstop.targets import Configuration
    from backstop.ui.auth import Viewer

log = logging.getLogger(__name__)

RANGES = (7, 30, 90, 365)
"""Days that a timeline can show."""


def pages(
    *,
    inventory: Callable[[], ClusterConnection | None],
    configuration: Callable[[], Configuration],
    clock: Callable[[], datetime],
    pools: Callable[[], Mapping[str, int]] | None = None,
    paused: Callable[[], Collection[str]] | None = None,
) -> APIRouter:
    """The router, to be mounted below any path; whoever mounts it has put the viewer into ``request.state``.

    :param inventory: the inventory's database; None: targets.yaml names none.
    :param configuration: targets.yaml as it is now.
    :param pools: Airflow's pools and their places; None: there is no Airflow to ask.
    :param paused: the procedures that are paused in Airflow; None: likewise.

    What cannot be shown is raised as a :class:`BackstopError`.
    """
    router = APIRouter(default_response_class=HTMLResponse)
    reading = Reading(inventory, configuration)

    @router.get("/")
    def show_overview(request: Request, q: str = "") -> HTMLResponse:
        now = clock()
        names = [name for name in configuration().known_targets if name in request.state.viewer.targets]
        overview = reading.read(
            lambda session, targets: read_overview(session, targets=names, now=now, known=disabled(targets))
        )
        return _page(
            request,
            "overview.html",
            now=now,
            overview=overview,
            sees_all=request.state.viewer.sees_all,
            query=q.strip(),
            drill_line=drill_line,
            closed_pools=closed_pools(configuration(), pools(), seen=names) if pools else [],
            paused=_paused(paused, request.state.viewer),
        )

    @router.get("/targets/{target}")
    def show_target(request: Request, target: str, days: Annotated[int, Query()] = RANGES[1]) -> HTMLResponse:
        now = clock()
        view = reading.read(
            lambda session, targets: read_target(
                session,
                target,
                policies=reading.policies(targets, target),
                now=now,
                known=[one for one in disabled(targets) if one.target == target],
            )
        )
        configured, broken = configuration().targets.get(target), configuration().why_broken(target)
        if configured is None and broken is None and not view.is_known:
            raise NotFoundError(f"there is no target {target}", hint="see the overview")
        shown = days if days in RANGES else RANGES[1]
        return _page(
            request,
            "target.html",
            now=now,
            view=view,
            configured=configured,
            broken=broken,
            ranges=RANGES,
            days=shown,
            timeline=draw_timeline(
                view.observation.windows if view.observation else (),
                view.backups,
                begins_at=now - timedelta(days=shown),
                now=now,
                held=frozenset(one.label for one in view.holds),
            ),
            panels=draw_panels(view.series, now=now),
            last_drill=drill_line(view.drills[0]) if view.drills else None,
            rehearsals=rehearsals_of(view.drills, view.incidents),
        )

    @router.get("/targets/{target}/backups/{label}")
    def show_backup(request: Request, target: str, label: str) -> HTMLResponse:
        now = clock()
        view = None
        if BackupLabel.is_one(label):
            view = reading.read(
                lambda session, targets: read_backup(
                    session, target, label, policies=reading.policies(targets, target), now=now
                )
            )
        if view is None:
            raise NotFoundError(
                f"the inventory has no backup {label} of {target}",
                hint="see the target's page; `python -m backstop list` asks the repositories",
            )
        return _page(request, "backup.html", now=now, view=view)

    return router


def _paused(paused: Callable[[], Collection[str]] | None, viewer: Viewer) -> list[str]:
    try:
        return sorted(viewer.reads(paused())) if paused else []
    except Exception:
        # What is known of backups is shown also while Airflow's own database is away.
        log.exception("Airflow does not say which procedures are paused")
        return []


def disabled(configuration: Configuration) -> list[Finding]:
    """Of targets whose files are wrong now, whether a watch has seen it or not."""
    return list(judge_configuration(configuration.broken))


def _page(request: Request, template: str, *, now: datetime, **variables: Any) -> HTMLResponse:
    page = render(template, root=root_of(request), now=now, **variables)
    # What was true a minute ago must not look like now: no browser keeps it.
    return HTMLResponse(page, headers={"Cache-Control": "no-store"})
