"""The Recoverability pages: all targets, one target, one backup. Nothing but the inventory is asked.

Who may look is for whoever mounts them to say, and to put into ``request.state.viewer``.
"""

# ruff: noqa: TC003 FastAPI evaluates the annotations
from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from backstop.commands.recoverability.backup import read_backup
from backstop.commands.recoverability.overview import read_overview
from backstop.commands.recoverability.target import read_target
from backstop.errors import BackstopError, NotFoundError
from backstop.ui.charts.panels import draw_panels
from backstop.ui.charts.timeline import draw_timeline
from backstop.ui.reading import Reading
from backstop.ui.rendering import render

if TYPE_CHECKING:
    from backstop.postgres.connection import ClusterConnection
    from backstop.targets import Configuration
    from backstop.ui.auth import Viewer

RANGES = (7, 30, 90, 365)
"""Days that a timeline can show."""


def pages(
    *,
    inventory: Callable[[], ClusterConnection | None],
    configuration: Callable[[], Configuration],
    clock: Callable[[], datetime],
) -> APIRouter:
    """The router, to be mounted below any path.

    :param inventory: the inventory's database; None: targets.yaml names none.
    :param configuration: targets.yaml as it is now.
    """
    router = APIRouter(default_response_class=HTMLResponse)
    reading = Reading(inventory, configuration)

    @router.get("/")
    def show_overview(request: Request, q: str = "") -> HTMLResponse:
        def made(now: datetime) -> str:
            viewer: Viewer = request.state.viewer
            overview = reading.read(
                lambda session, targets: read_overview(session, targets=list(targets.targets), now=now)
            )
            overview = overview.limited_to(viewer.sees(overview.names))
            return render("overview.html", root=root_of(request), now=now, overview=overview, query=q.strip())

        return answer(request, clock(), made)

    @router.get("/targets/{target}")
    def show_target(request: Request, target: str, days: Annotated[int, Query()] = 30) -> HTMLResponse:
        def made(now: datetime) -> str:
            view = reading.read(
                lambda session, targets: read_target(
                    session, target, policies=reading.policies(targets, target), now=now
                )
            )
            configured = reading.find(target)
            if configured is None and view.observation is None and not view.backups and not view.series:
                raise NotFoundError(
                    f"there is no target {target}", hint="the overview lists those of targets.yaml"
                )
            shown = days if days in RANGES else 30
            windows = view.observation.windows if view.observation else ()
            held = frozenset(one.label for one in view.holds)
            return render(
                "target.html",
                root=root_of(request),
                now=now,
                view=view,
                configured=configured,
                ranges=RANGES,
                days=shown,
                timeline=draw_timeline(
                    windows, view.backups, begins_at=now - timedelta(days=shown), now=now, held=held
                ),
                panels=draw_panels(view.series, now=now),
            )

        return answer(request, clock(), made)

    @router.get("/targets/{target}/backups/{label}")
    def show_backup(request: Request, target: str, label: str) -> HTMLResponse:
        def made(now: datetime) -> str:
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
            return render("backup.html", root=root_of(request), now=now, view=view)

        return answer(request, clock(), made)

    return router


def root_of(request: Request) -> str:
    """Where the pages are mounted, without a slash at its end."""
    return str(request.scope.get("root_path", "")).rstrip("/")


def answer(request: Request, now: datetime, made: Callable[[datetime], str]) -> HTMLResponse:
    """The page, or what prevents it, in words and with the next step."""
    try:
        return _html(made(now))
    except BackstopError as error:
        status = 404 if isinstance(error, NotFoundError) else 503
        return _html(render("error.html", root=root_of(request), now=now, error=error), status)


def _html(page: str, status: int = 200) -> HTMLResponse:
    # What was true a minute ago must not look like now: no browser keeps it.
    headers: dict[str, Any] = {"Cache-Control": "no-store"}
    return HTMLResponse(page, status_code=status, headers=headers)
