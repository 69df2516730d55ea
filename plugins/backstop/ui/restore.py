"""Restore to here: a form that shows the plan, then starts the DAG that carries it out."""

# ruff: noqa: TC003 FastAPI evaluates the annotations
from __future__ import annotations

import hashlib
import json
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
from backstop.ui.paths import root_of
from backstop.ui.problems import Refused, WrongInput
from backstop.ui.reading import Reading
from backstop.ui.rendering import render
from backstop.ui.restore_form import Asked, Sources, plan
from backstop.ui.starting import start_run

if TYPE_CHECKING:
    from backstop.commands.recoverability.restore_plan import RestorePlan
    from backstop.errors import BackstopError
    from backstop.postgres.connection import ClusterConnection
    from backstop.targets import Configuration
    from backstop.ui.auth import Gate, Viewer


class Sent(Asked):
    """The form that starts a run: what was planned, and the token of the page it came from."""

    token: str = ""


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
    desk = _Desk(gate, tokens, Reading(inventory, configuration), clock)

    @router.get("/targets/{target}/restore")
    def show(request: Request, target: str, asked: Annotated[Asked, Query()]) -> Response:
        return desk.show(request, target, asked)

    @router.post("/targets/{target}/restore")
    async def start(request: Request, target: str, sent: Annotated[Sent, Form()]) -> Response:
        return await desk.start(request, target, sent)

    return router


class _Desk:
    """Where somebody asks, is shown the plan, and has it started."""

    def __init__(
        self, gate: Gate, tokens: FormTokens, reading: Reading, clock: Callable[[], datetime]
    ) -> None:
        self._gate = gate
        self._tokens = tokens
        self._reading = reading
        self._clock = clock

    def show(self, request: Request, target: str, asked: Asked) -> Response:
        """The form, and what was asked for: its plan, or why it cannot be."""
        viewer: Viewer = request.state.viewer
        known = self._sources(target)
        planned: RestorePlan | None = None
        problem: BackstopError | None = None
        if asked.wanted:
            try:
                planned = plan(known, asked)
            except (ConfigurationError, NotFoundError) as error:
                problem = error
        page = render(
            "restore.html",
            root=root_of(request),
            now=known.now,
            known=known,
            asked=asked,
            plan=planned,
            settled=Asked.of_plan(planned) if planned else None,
            problem=problem,
            allowed=planned is not None and self._gate.may_trigger(viewer.user, planned.dag_id),
            viewer=viewer,
            token=self._tokens.issue(viewer, target),
        )
        return HTMLResponse(page, status_code=WrongInput.status if problem else 200)

    async def start(self, request: Request, target: str, sent: Sent) -> Response:
        """Have it started as whoever sent the form, and lead there."""
        viewer: Viewer = request.state.viewer
        require_same_origin(request)
        form = self._tokens.require(sent.token, viewer, target)
        found = await run_in_threadpool(self._checked, viewer, target, sent)
        run = await start_run(request, viewer, found.dag_id, found.conf, run_id=_run_id(form, found))
        if request.headers.get("sec-fetch-dest") != "iframe":
            return RedirectResponse(run.address, status_code=303)
        # In Airflow's shell: its page of the run belongs into the whole window, not into our frame.
        page = render(
            "started.html", root=root_of(request), now=self._clock(), target=target, plan=found, run=run
        )
        return HTMLResponse(page)

    def _checked(self, viewer: Viewer, target: str, sent: Sent) -> RestorePlan:
        # What comes from a browser is judged anew: the plan there was only shown.
        try:
            found = plan(self._sources(target), sent)
        except (ConfigurationError, NotFoundError) as error:
            raise WrongInput(f"{error.message}; nothing was started", hint=error.hint) from None
        if not self._gate.may_trigger(viewer.user, found.dag_id):
            raise Refused(
                f"{viewer.name} may not start {found.dag_id}; nothing was started",
                hint=f"ask for the permission to trigger the DAG {found.dag_id}",
            )
        return found

    def _sources(self, target: str) -> Sources:
        now = self._clock()

        def known(session: Any, targets: Configuration) -> Sources:
            if target not in targets.targets:
                raise NotFoundError(
                    f"targets.yaml names no target {target}, so that nothing is restored from here",
                    hint="describe it there again; `python -m backstop list` reads its repositories",
                )
            return Sources(
                target=targets.targets[target],
                observation=next(iter(read_observations(session, target)), None),
                backups=read_stored(session, target, since=now),
                now=now,
            )

        return self._reading.read(known)


def _run_id(form: str, plan: RestorePlan) -> str:
    """The same for the same form: a second click, or a page sent anew, does not start it twice."""
    sent = json.dumps([form, plan.dag_id, dict(plan.conf)], sort_keys=True)
    return f"manual__recoverability_{hashlib.sha256(sent.encode()).hexdigest()[:16]}"
