"""Restore to here: a form that shows the plan, then starts the DAG that carries it out."""

# ruff: noqa: TC002, TC003 FastAPI evaluates the annotations
from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from backstop.commands.recoverability.backups import read_stored
from backstop.errors import ConfigurationError, NotFoundError
from backstop.repository.observations import read_observations
from backstop.ui.form_token import FormTokens, require_same_origin
from backstop.ui.pages import root_of
from backstop.ui.problems import Refused, WrongInput
from backstop.ui.reading import Reading
from backstop.ui.rendering import render
from backstop.ui.restore_form import Asked, Sources, plan
from backstop.ui.starting import start_run

if TYPE_CHECKING:
    from backstop.commands.recoverability.restore_plan import RestorePlan
    from backstop.postgres.connection import ClusterConnection
    from backstop.targets import Configuration
    from backstop.ui.auth import Gate, Viewer


def restores(
    *,
    gate: Gate,
    tokens: FormTokens,
    inventory: Callable[[], ClusterConnection | None],
    configuration: Callable[[], Configuration],
    clock: Callable[[], datetime],
) -> APIRouter:
    """The router; whoever mounts it has put the viewer into ``request.state``."""
    router = APIRouter(default_response_class=HTMLResponse)
    reading = Reading(inventory, configuration)

    def sources(target: str) -> Sources:
        def known(session: Any, targets: Configuration) -> Sources:
            return Sources(
                target=targets.targets[target],
                observation=next(iter(read_observations(session, target)), None),
                backups=read_stored(session, target, since=clock()),
                now=clock(),
            )

        return reading.read(known)

    def page(request: Request, known: Sources, asked: Asked) -> Response:
        viewer: Viewer = request.state.viewer
        planned: RestorePlan | None = None
        problem: Exception | None = None
        if asked.wanted:
            try:
                planned = plan(known, asked)
            except (ConfigurationError, NotFoundError) as error:
                problem = error
        body = render(
            "restore.html",
            root=root_of(request),
            now=known.now,
            known=known,
            asked=asked,
            plan=planned,
            problem=problem,
            allowed=planned is not None and gate.may_trigger(viewer.user, planned.dag_id),
            viewer=viewer,
            token=tokens.issue(viewer, known.target.name),
        )
        return HTMLResponse(body, status_code=422 if problem else 200)

    @router.get("/targets/{target}/restore")
    def show(request: Request, target: str, asked: Annotated[Asked, Query()]) -> Response:
        return page(request, sources(target), asked)

    @router.post("/targets/{target}/restore")
    async def start(request: Request, target: str, sent: Annotated[Sent, Form()]) -> Response:
        viewer: Viewer = request.state.viewer
        require_same_origin(request)
        tokens.require(sent.token, viewer, target)

        def checked() -> RestorePlan:
            # What came from the browser is judged anew: the plan there was only shown.
            try:
                found = plan(sources(target), sent)
            except (ConfigurationError, NotFoundError) as error:
                raise WrongInput(f"{error.message}; nothing was started", hint=error.hint) from None
            if not gate.may_trigger(viewer.user, found.dag_id):
                raise Refused(
                    f"{viewer.name} may not start {found.dag_id}; nothing was started",
                    hint=f"ask for the permission to trigger the DAG {found.dag_id}",
                )
            return found

        found = await run_in_threadpool(checked)
        run = await start_run(request, viewer, found.dag_id, found.conf)
        if request.headers.get("sec-fetch-dest") == "iframe":
            # In Airflow's shell: its page of the run belongs into the whole window, not into our frame.
            return HTMLResponse(
                render(
                    "started.html",
                    root=root_of(request),
                    now=clock(),
                    target=target,
                    plan=found,
                    run=run,
                )
            )
        return RedirectResponse(run.address, status_code=303)

    return router


class Sent(Asked):
    """The form that starts a run: what was planned, and the token of the page it came from."""

    token: str = ""
