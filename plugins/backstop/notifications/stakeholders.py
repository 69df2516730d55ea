"""Those who wait for a recovery: Airflow's notifiers that ``disaster.stakeholders`` names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.commands.patience import bounded
from backstop.model.finding import Level
from backstop.model.finding_state import News
from backstop.notifications.alert import airflow_url
from backstop.notifications.channels import PATIENCE_SECONDS, channel_name, make_notifier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backstop.commands.disaster.telling import Listener
    from backstop.commands.disaster.texts import Message
    from backstop.targets import Target
    from backstop.targets.alerts import NotifierConfig

_NEWS = {"start": News.OPENED, "progress": News.REPEATED, "end": News.ENDED}


def stakeholders_of(target: Target, name: str, context: Mapping[str, Any]) -> list[Listener]:
    """:param name: of the target. :param context: of the task, for the notifiers' templates."""
    return [
        StakeholderListener(one, target=name, context=context)
        for one in target.disaster.stakeholders
        if not one.only or name in one.only
    ]


class StakeholderListener:
    """One notifier. In its templates ``alert`` is known as in those of ``alerts``, and ``public`` beside it:
    what everybody may read."""

    public = False

    def __init__(
        self,
        config: NotifierConfig,
        *,
        target: str,
        context: Mapping[str, Any],
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._config = config
        self._target = target
        self._context = context
        self._patience_seconds = patience_seconds
        self.name = channel_name(config)

    def tell(self, message: Message) -> None:
        """:raises ConfigurationError: there is no such notifier. :raises TimeoutError: it does not return.

        Whatever else the notifier raises is raised.
        """
        told = {**self._context, "alert": self._alert(message), "public": _public(message)}
        notifier = make_notifier(self._config, section=f"targets.{self._target}.disaster.stakeholders")
        bounded(lambda: notifier(told), self._patience_seconds)

    def _alert(self, message: Message) -> dict[str, Any]:
        url = self._run_url()
        return {
            "subject": message.subject,
            "message": message.text + (f"\n\n{url}" if url else ""),
            "level": Level.CRITICAL.value,
            "news": _NEWS[message.moment].value,
            "folded": False,
            "url": url,
            "findings": [],
        }

    def _run_url(self) -> str:
        """Where the run is seen; empty: nobody knows."""
        from urllib.parse import quote

        run = self._context.get("dag_run")
        root = airflow_url()
        dag_id, run_id = getattr(run, "dag_id", None), getattr(run, "run_id", None)
        if not (root and dag_id and run_id):
            return ""
        return f"{root.rstrip('/')}/dags/{quote(dag_id)}/runs/{quote(run_id)}"


def _public(message: Message) -> dict[str, Any]:
    public = message.public
    return {"state": public.state, "title": public.title, "text": public.text, "until": public.until}
