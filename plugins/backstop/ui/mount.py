"""What the plugin hands to Airflow: an application that is imported when somebody first asks for a page.

Every process of Airflow loads every plugin, schedulers and each task's process too; only the API server
ever shows anything.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from backstop.ui.scope import AIRFLOW

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX = "/backstop"


class MountedApp:
    """An ASGI application in front of another that does not exist yet.

    :param create: makes the other one; called once, in a thread, at the first request.
    """

    def __init__(self, create: Callable[[], Any]) -> None:
        self._create = create
        self._made: asyncio.Future[Any] | None = None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        app = await self._app()
        await app({**scope, AIRFLOW: scope.get("app")}, receive, send)

    async def _app(self) -> Any:
        if self._made is None or (self._made.done() and self._made.exception() is not None):
            # Importing takes long enough to be felt by whoever else is being served.
            self._made = asyncio.ensure_future(asyncio.to_thread(self._create))
        return await asyncio.shield(self._made)


def recoverability() -> MountedApp:
    """The application as Airflow mounts it at :data:`PREFIX`."""
    return MountedApp(_create)


def _create() -> Any:
    from backstop.ui.app import app_for_airflow

    return app_for_airflow()
