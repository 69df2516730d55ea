"""The reports of drills and incidents, each within a page and as a file of its own."""

# ruff: noqa: TC003 FastAPI evaluates the annotations
from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from backstop.errors import NotFoundError
from backstop.model.incident_document import incident_from
from backstop.reports.rendering import content_security_policy, stylesheet
from backstop.reports.report import drill_page, drill_part, incident_page, incident_part
from backstop.repository.drills import one_drill, one_incident
from backstop.ui.headers import FRAMED_BY_AIRFLOW, PRIVATE
from backstop.ui.paths import root_of
from backstop.ui.reading import Reading
from backstop.ui.rendering import render

if TYPE_CHECKING:
    from markupsafe import Markup

    from backstop.model.drill import DrillRecord
    from backstop.model.incident_record import IncidentRecord
    from backstop.postgres.connection import ClusterConnection
    from backstop.targets import Configuration


def report_pages(
    *,
    inventory: Callable[[], ClusterConnection | None],
    configuration: Callable[[], Configuration],
    clock: Callable[[], datetime],
) -> APIRouter:
    """The router; arguments as those of :func:`backstop.ui.pages.pages`."""
    router = APIRouter(default_response_class=HTMLResponse)
    reading = Reading(inventory, configuration)

    def page(request: Request, kind: str, target: str, name: str, report: Markup) -> HTMLResponse:
        given = {"kind": kind, "target": target, "name": name, "report": report}
        html = render("report.html", root=root_of(request), now=clock(), **given)
        return HTMLResponse(html, headers={"Cache-Control": PRIVATE})

    @router.get("/targets/{target}/drills/{drill_id}")
    def show_drill(request: Request, target: str, drill_id: str) -> HTMLResponse:
        return page(request, "drill", target, drill_id, drill_part(_drill(reading, target, drill_id)))

    @router.get("/targets/{target}/drills/{drill_id}/report.html")
    def give_drill(target: str, drill_id: str) -> Response:
        return _as_file(drill_page(_drill(reading, target, drill_id)))

    @router.get("/targets/{target}/incidents/{incident_id}")
    def show_incident(request: Request, target: str, incident_id: str) -> HTMLResponse:
        report = incident_part(_incident(reading, target, incident_id))
        return page(request, "incident", target, incident_id, report)

    @router.get("/targets/{target}/incidents/{incident_id}/report.html")
    def give_incident(target: str, incident_id: str) -> Response:
        return _as_file(incident_page(_incident(reading, target, incident_id)))

    @router.get("/report.css")
    def style() -> Response:
        return Response(stylesheet(), media_type="text/css")

    return router


def _drill(reading: Reading, target: str, drill_id: str) -> DrillRecord:
    found = None
    if drill_id.isprintable():
        found = reading.read(lambda session, _: one_drill(session, target, drill_id))
    if found is None:
        raise NotFoundError(
            f"the inventory has no drill {drill_id} of {target}",
            hint=f"see the target's page; `python -m backstop evidence list --target {target}` asks the"
            " repositories",
        )
    return found


def _incident(reading: Reading, target: str, incident_id: str) -> IncidentRecord:
    found = None
    if incident_id.isprintable():
        found = reading.read(lambda session, _: one_incident(session, target, incident_id))
    if found is None:
        raise NotFoundError(
            f"the inventory has no incident {incident_id} of {target}",
            hint="see the target's page; the repositories are asked by"
            f" `python -m backstop recover-from-disaster --target {target} --status`",
        )
    return incident_from(found.document)


def _as_file(html: str) -> Response:
    """The report by itself, with a policy of its own, which allows less than that of our pages."""
    return HTMLResponse(
        html,
        headers={
            "Cache-Control": PRIVATE,
            "Content-Security-Policy": f"{content_security_policy()}; {FRAMED_BY_AIRFLOW}",
        },
    )
