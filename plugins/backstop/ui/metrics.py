"""``/backstop/metrics``: what the newest watch saw, for Prometheus, to whoever has a token."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Header, Response

from backstop import __version__
from backstop.commands.metrics.kept_text import KeptText
from backstop.commands.metrics.reading import Reader
from backstop.errors import BackstopError, ConfigurationError
from backstop.model.procedure import target_of_dag
from backstop.ui.pools import places
from backstop.ui.scrape_tokens import ScrapeTokens

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from backstop.postgres.connection import ClusterConnection
    from backstop.targets import Configuration

log = logging.getLogger(__name__)


def metrics(
    *,
    inventory: Callable[[], ClusterConnection | None],
    configuration: Callable[[], Configuration],
    clock: Callable[[], datetime],
    pools: Callable[[], Mapping[str, int]] | None = None,
    paused: Callable[[], Collection[str]] | None = None,
    tokens: ScrapeTokens | None = None,
) -> APIRouter:
    """The route. It has a lock of its own: Prometheus cannot renew a login of Airflow's.

    :param inventory: its connection; None: targets.yaml names none.
    :param configuration: targets.yaml as it is now.
    :param pools: Airflow's pools and their places; None: there is no Airflow to ask.
    :param paused: the procedures that are paused in Airflow; None: likewise.
    :param tokens: by default those in the file that ``BACKSTOP_METRICS_TOKEN_FILE`` names.
    """
    router = APIRouter()
    shown = _Shown(inventory, configuration, clock, pools, paused)
    lock = tokens or ScrapeTokens.of_environment()

    # Not async: it waits for a database, and FastAPI runs it in a thread.
    @router.get("/metrics", include_in_schema=False)
    def scrape(
        authorization: Annotated[str, Header()] = "", accept: Annotated[str, Header()] = ""
    ) -> Response:
        refused = lock.refusal(authorization)
        if refused is not None:
            return refused
        try:
            text, content_type = shown.text(accept)
        except BackstopError as error:
            return _unavailable(error)
        return Response(text, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    return router


class _Shown:
    """Remembers from scrape to scrape what has not changed."""

    def __init__(
        self,
        inventory: Callable[[], ClusterConnection | None],
        configuration: Callable[[], Configuration],
        clock: Callable[[], datetime],
        pools: Callable[[], Mapping[str, int]] | None,
        paused: Callable[[], Collection[str]] | None,
    ) -> None:
        self._pools = pools
        self._paused = paused
        self._inventory = inventory
        self._configuration = configuration
        self._clock = clock
        self._reader = Reader()
        self._written = KeptText(__version__)

    def text(self, accept: str) -> tuple[bytes, str]:
        connection = self._inventory()
        if connection is None:
            raise ConfigurationError(
                "targets.yaml names no inventory, and metrics are read from there",
                hint="add inventory: {conn_id: …}, and let watch_backups run",
            )
        configuration = self._configuration()
        observations, findings = self._reader.read(connection)
        return self._written.text(
            observations,
            findings,
            now=self._clock(),
            targets=configuration.known_targets,
            pools=self._places(configuration),
            paused=self._paused_now(configuration),
            accept=accept,
        )

    def _places(self, configuration: Configuration) -> Mapping[str, int]:
        if self._pools is None:
            return {}
        try:
            return places(configuration, self._pools())
        except Exception:
            # What is known of backups is shown also while Airflow's own database is away.
            log.exception("Airflow does not say which pools it has")
            return {}

    def _paused_now(self, configuration: Configuration) -> Mapping[str, str]:
        """Each with the target it is about, if it is about one."""
        try:
            paused = self._paused() if self._paused else ()
            return {one: target_of_dag(one, configuration.known_targets) or "" for one in paused}
        except Exception:
            log.exception("Airflow does not say which procedures are paused")
            return {}


def _unavailable(error: BackstopError) -> Response:
    """Nothing is shown rather than something old; ``up`` is 0 then, and the text says why."""
    return Response(f"{error}\n", status_code=503, media_type="text/plain")
