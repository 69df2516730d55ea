"""The application below ``/backstop``: pages for people who are logged in, metrics for Prometheus."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from backstop.errors import BackstopError, NotFoundError
from backstop.settings.arguments import utc_now
from backstop.ui.auth import AirflowGate, login_address, may_look
from backstop.ui.configuration import current_targets
from backstop.ui.credentials import ServerCredentials
from backstop.ui.form_token import FormTokens
from backstop.ui.headers import SecurityHeaders
from backstop.ui.inventory import InventoryOfServer
from backstop.ui.metrics import metrics
from backstop.ui.pages import pages
from backstop.ui.paths import root_of
from backstop.ui.paused import airflow_paused
from backstop.ui.pools import airflow_pools
from backstop.ui.problems import LoginRequired, PageError, UnknownPage, WrongInput
from backstop.ui.rendering import STATIC, render
from backstop.ui.reports import report_pages
from backstop.ui.restore import restores

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from backstop.postgres.connection import ClusterConnection
    from backstop.targets import Configuration
    from backstop.ui.auth import Gate

log = logging.getLogger(__name__)


def app_for_airflow() -> SecurityHeaders:
    """With everything from the Airflow that it runs in."""
    # Outermost, so that also the page that says that a page failed has the headers.
    return SecurityHeaders(
        create_app(
            gate=AirflowGate(),
            tokens=FormTokens(_airflow_secret),
            inventory=InventoryOfServer(current_targets, ServerCredentials()),
            configuration=current_targets,
            clock=utc_now,
            pools=airflow_pools,
            paused=airflow_paused,
        )
    )


def create_app(
    *,
    gate: Gate,
    tokens: FormTokens,
    inventory: Callable[[], ClusterConnection | None],
    configuration: Callable[[], Configuration],
    clock: Callable[[], datetime],
    pools: Callable[[], Mapping[str, int]] | None = None,
    paused: Callable[[], Collection[str]] | None = None,
) -> FastAPI:
    """The application; only what a route needs of its surroundings is passed in."""
    app = FastAPI(title="Backstop", docs_url=None, redoc_url=None, openapi_url=None)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    looking = [Depends(may_look(gate, configuration))]
    # Before the gate: a Prometheus does not log in, and shows a token of its own.
    app.include_router(
        metrics(inventory=inventory, configuration=configuration, clock=clock, pools=pools, paused=paused)
    )
    app.include_router(
        pages(inventory=inventory, configuration=configuration, clock=clock, pools=pools, paused=paused),
        dependencies=looking,
    )
    app.include_router(
        report_pages(inventory=inventory, configuration=configuration, clock=clock), dependencies=looking
    )
    app.include_router(
        restores(gate=gate, tokens=tokens, inventory=inventory, configuration=configuration, clock=clock),
        dependencies=looking,
    )
    _say_problems(app, clock)
    return app


def _say_problems(app: FastAPI, clock: Callable[[], datetime]) -> None:
    """Whatever goes wrong is a page: what happened, and the next step."""

    def said(request: Request, error: BackstopError, status: int) -> Response:
        page = render("problem.html", root=root_of(request), now=clock(), error=error, status=status)
        return HTMLResponse(page, status_code=status)

    @app.exception_handler(LoginRequired)
    def log_in(request: Request, _error: LoginRequired) -> Response:
        # A form that was filled in before the session ended is filled in again: it is shown, never resent.
        return RedirectResponse(login_address(request), status_code=303)

    @app.exception_handler(BackstopError)
    def problem(request: Request, error: BackstopError) -> Response:
        if isinstance(error, PageError):
            return said(request, error, error.status)
        return said(request, error, 404 if isinstance(error, NotFoundError) else 503)

    @app.exception_handler(RequestValidationError)
    def wrong(request: Request, error: RequestValidationError) -> Response:
        names = sorted({str(one["loc"][-1]) for one in error.errors()})
        return said(request, WrongInput(f"{', '.join(names)}: not what was asked for"), WrongInput.status)

    @app.exception_handler(HTTPException)
    def other(request: Request, error: HTTPException) -> Response:
        return said(request, UnknownPage(str(error.detail)), error.status_code)

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> Response:
        log.exception("the page %s failed", request.url.path, exc_info=error)
        found = BackstopError(
            "this page failed for a reason of its own", hint="see the log of Airflow's API server"
        )
        return said(request, found, 500)


def _airflow_secret() -> str:
    from airflow.configuration import conf

    return str(conf.get("api", "secret_key"))
