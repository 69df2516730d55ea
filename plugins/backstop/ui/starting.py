"""Starts a run as whoever is looking: through Airflow's own API, with their token and nothing of ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from backstop.errors import SourceUnavailableError
from backstop.ui.problems import Refused, UnknownPage, WrongInput
from backstop.ui.scope import AIRFLOW

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import Request

    from backstop.ui.auth import Viewer

_SECONDS = 30


@dataclass(frozen=True, slots=True)
class StartedRun:
    """A run that Airflow has accepted. :param address: its page in Airflow."""

    dag_id: str
    run_id: str
    address: str


async def start_run(
    request: Request, viewer: Viewer, dag_id: str, conf: Mapping[str, Any], *, run_id: str
) -> StartedRun:
    """Ask the API of the Airflow that we are mounted in, without a network between.

    So its authorisation, its checks of the parameters and its audit log hold, and the run names the user.

    :param run_id: of a run that is there already: it is the one, and no other is started.

    :raises Refused: they may not start it; :raises UnknownPage: Airflow has no such DAG.
    :raises WrongInput: Airflow does not take the parameters.
    """
    import httpx

    root = airflow_root()
    transport = httpx.ASGITransport(app=request.scope[AIRFLOW], raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url=str(request.base_url.replace(path="")), timeout=_SECONDS
    ) as client:
        answer = await client.post(
            f"{root}/api/v2/dags/{quote(dag_id, safe='')}/dagRuns",
            json={"dag_run_id": run_id, "logical_date": None, "conf": dict(conf)},
            # With a referer Airflow records that it was started in the user interface.
            headers={"authorization": f"Bearer {viewer.token}", "referer": str(request.url.path)},
        )
    if answer.status_code in (httpx.codes.OK, httpx.codes.CONFLICT):
        return StartedRun(
            dag_id, run_id, f"{root}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"
        )
    raise _problem(answer.status_code, _detail(answer), viewer.name, dag_id)


def airflow_root() -> str:
    """The path that Airflow itself lives below; usually empty."""
    from airflow.api_fastapi.app import API_ROOT_PATH

    return str(API_ROOT_PATH).rstrip("/")


def _detail(answer: Any) -> str:
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return ""
    return detail if isinstance(detail, str) else str(detail)


def _problem(status: int, detail: str, name: str, dag_id: str) -> Exception:
    if status in (401, 403):
        return Refused(
            f"{name} may not start {dag_id}; nothing was started",
            hint=f"ask for the permission to trigger the DAG {dag_id}",
        )
    if status == 404:
        return UnknownPage(
            f"Airflow has no DAG {dag_id}; nothing was started", hint="see Airflow's import errors"
        )
    if status < 500:
        return WrongInput(f"Airflow did not start {dag_id}: {detail or f'answer {status}'}")
    return SourceUnavailableError(
        f"Airflow's API could not start {dag_id} (answer {status})",
        hint="see the API server's log; trigger the DAG by hand",
    )
