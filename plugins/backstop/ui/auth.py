"""Who is asking, and what Airflow lets them see and start.

Airflow authenticates nobody on behalf of a plugin's pages, so they do it themselves, with Airflow's own
means: its cookie or bearer token says who it is, its auth manager what they may.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from fastapi import HTTPException, Request
from starlette.concurrency import run_in_threadpool

from backstop.targets.fields import is_name
from backstop.ui.problems import LoginRequired, Refused, UnknownPage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from backstop.targets import Configuration

WATCH = "watch_backups"
"""Whoever may read this DAG may look."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who is logged in to Airflow.

    :param name: as Airflow records it with what they start; :param user_id: as Airflow tells users apart.
    :param targets: those of targets.yaml that they may look at.
    :param sees: which of these targets they may look at; also those that targets.yaml no longer names.
    :param reads: which of these DAGs they may read.
    :param sees_all: they may look at every target there is or will be, so also at what is about none of them.
    :param token: with which Airflow knows them.
    """

    name: str
    user_id: str
    targets: frozenset[str]
    sees_all: bool
    token: str = field(repr=False)
    user: Any = field(repr=False)
    sees: Callable[[Collection[str]], frozenset[str]] = field(repr=False)
    reads: Callable[[Collection[str]], Collection[str]] = field(repr=False)


class Gate(Protocol):
    """What decides, as far as the pages need it."""

    async def user(self, request: Request) -> tuple[Any, str]:
        """The user and their token. :raises HTTPException: 401 or 403, nobody whom Airflow knows."""
        ...

    def readable(self, user: Any, dag_ids: Collection[str]) -> set[str]:
        """Those of the DAGs that they may read."""
        ...

    def reads_every_dag(self, user: Any) -> bool:
        """Whether they may read any DAG, whatever it is called."""
        ...

    def may_trigger(self, user: Any, dag_id: str) -> bool:
        """Whether they may start a run of it."""
        ...


_NO_DAG = "a DAG that nobody has"
"""No DAG is called so, for its blanks: whoever may read it may read all."""


class AirflowGate:
    """The auth manager of the API server that we run in."""

    async def user(self, request: Request) -> tuple[Any, str]:
        from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
        from airflow.api_fastapi.core_api.security import bearer_scheme, get_user

        bearer = await bearer_scheme(request)
        user = await get_user(request, None, bearer)
        return user, bearer.credentials if bearer else request.cookies.get(COOKIE_NAME_JWT_TOKEN, "")

    def readable(self, user: Any, dag_ids: Collection[str]) -> set[str]:
        from airflow.api_fastapi.app import get_auth_manager

        manager = get_auth_manager()
        readable: set[str] = set()
        for team, ids in _by_team(dag_ids).items():
            readable |= manager.filter_authorized_dag_ids(
                dag_ids=ids, user=user, method="GET", team_name=team
            )
        return readable

    def reads_every_dag(self, user: Any) -> bool:
        from airflow.api_fastapi.app import get_auth_manager
        from airflow.api_fastapi.auth.managers.models.resource_details import DagDetails

        # Asked of no DAG at all, the FAB manager says yes to whoever may read a single one.
        return bool(
            get_auth_manager().is_authorized_dag(method="GET", details=DagDetails(id=_NO_DAG), user=user)
        )

    def may_trigger(self, user: Any, dag_id: str) -> bool:
        from airflow.api_fastapi.app import get_auth_manager
        from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails

        ((team, _ids),) = _by_team([dag_id]).items()
        return bool(
            get_auth_manager().is_authorized_dag(
                method="POST",
                access_entity=DagAccessEntity.RUN,
                details=DagDetails(id=dag_id, team_name=team),
                user=user,
            )
        )


def _by_team(dag_ids: Collection[str]) -> dict[str | None, set[str]]:
    """The DAGs by the team that owns them; Airflow asks no database where there are no teams."""
    from airflow.configuration import conf

    teams: dict[str, str | None] = {}
    if conf.getboolean("core", "multi_team"):
        from airflow.models.dag import DagModel

        teams = DagModel.get_dag_id_to_team_name_mapping(list(dag_ids))
    grouped: dict[str | None, set[str]] = {}
    for dag_id in dag_ids:
        grouped.setdefault(teams.get(dag_id), set()).add(dag_id)
    return grouped


def backup_dag(target: str) -> str:
    """Whoever may read this DAG may look at the target."""
    return f"back_up_database__{target}"


def may_look(gate: Gate, configuration: Callable[[], Configuration]) -> Callable[[Request], Any]:
    """A dependency that every page has: it lets through who may look, and puts them into
    ``request.state.viewer``. A page of a target that they may not see is no page.
    """

    async def look(request: Request) -> Viewer:
        try:
            user, token = await gate.user(request)
        except HTTPException:
            raise LoginRequired from None
        viewer = await run_in_threadpool(_viewer, gate, configuration(), user, token)
        target = request.path_params.get("target")
        if target is not None and not await run_in_threadpool(viewer.sees, [target]):
            raise UnknownPage(f"there is no target {target}, or you may not see it")
        request.state.viewer = viewer
        return viewer

    return look


def _viewer(gate: Gate, configuration: Configuration, user: Any, token: str) -> Viewer:

    def sees(names: Collection[str]) -> frozenset[str]:
        # What nothing can be called is asked of nobody: it need not be text that a database takes.
        by_dag = {backup_dag(name): name for name in names if is_name(name)}
        return frozenset(by_dag[dag_id] for dag_id in gate.readable(user, by_dag))

    if not gate.readable(user, [WATCH]):
        raise Refused(
            f"{user.get_name()} may not look at how the backups stand",
            hint=f"ask for the permission to read the DAG {WATCH}",
        )
    return Viewer(
        str(user.get_name()),
        str(user.get_id()),
        sees(configuration.known_targets),
        sees_all=gate.reads_every_dag(user),
        token=token,
        user=user,
        sees=sees,
        reads=partial(gate.readable, user),
    )


def login_address(request: Request) -> str:
    """Airflow's login, which leads back to the page that was asked for; never anywhere else."""
    from airflow.api_fastapi.app import API_ROOT_PATH

    query = f"?{request.url.query}" if request.url.query else ""
    return f"{API_ROOT_PATH}api/v2/auth/login?next={quote(request.url.path + query, safe='')}"
