"""Who is told: the notifiers that ``alerts`` of targets.yaml names, or the log where it names none."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from backstop.commands.patience import bounded
from backstop.errors import ConfigurationError
from backstop.model.canonical import canonical_json, sha256_hex
from backstop.model.finding import EVERY_TARGET, Level
from backstop.notifications.alert import airflow_url, alert_of
from backstop.settings.alerts import told_levels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backstop.commands.announce import Channel
    from backstop.model.announcement import Announcement
    from backstop.model.finding import Finding
    from backstop.targets.alerts import Alerts, NotifierConfig

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 60.0
"""A notifier that takes longer has not told anybody, as far as we know."""


def channels_of(alerts: Alerts, context: Mapping[str, Any]) -> list[Channel]:
    """One for each notifier, whatever the number of levels it is told of.

    :param context: of the task or callback, for the notifiers' templates.
    """
    found = [NotifierChannel(one, levels, context) for one, levels in told_levels(alerts)]
    return [*found] if found else [LogChannel()]


class NotifierChannel:
    """An Airflow notifier. Its name changes with its arguments: another channel is another one to be told."""

    def __init__(
        self,
        config: NotifierConfig,
        levels: frozenset[Level],
        context: Mapping[str, Any],
        *,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._config = config
        self._levels = levels
        self._context = context
        self._patience_seconds = patience_seconds
        self.name = channel_name(config)

    def wants(self, finding: Finding) -> bool:
        only = self._config.only
        # Whoever is told of some targets alone does not learn which others there were.
        general = finding.target == EVERY_TARGET and finding.check != "undescribed"
        return finding.level in self._levels and (not only or finding.target in only or general)

    def tell(self, announcement: Announcement) -> None:
        """:raises ConfigurationError: there is no such notifier. :raises TimeoutError: it does not return.

        Whatever else the notifier raises is raised.
        """
        alert = alert_of(announcement, base_url=airflow_url())
        # Made anew for each message: rendering its templates uses it up.
        notifier = make_notifier(self._config, section="alerts")
        bounded(lambda: notifier({**self._context, "alert": alert}), self._patience_seconds)


class LogChannel:
    """The log of the task: where nobody else is named."""

    name = "log"

    def wants(self, finding: Finding) -> bool:
        return True

    def tell(self, announcement: Announcement) -> None:
        level = logging.ERROR if announcement.level is Level.CRITICAL else logging.WARNING
        log.log(level, "%s", announcement.message)


def channel_name(config: NotifierConfig) -> str:
    """Stays the same as long as its arguments do, and tells none of them."""
    identity = sha256_hex(canonical_json({"notifier": config.notifier, "arguments": repr(config.arguments)}))
    return f"{config.notifier.rpartition('.')[2]} {identity[:8]}"


def make_notifier(config: NotifierConfig, *, section: str) -> Any:
    """:param section: of targets.yaml, which names it.

    :raises ConfigurationError: there is no such notifier, or it does not take these arguments.
    """
    from airflow.sdk.module_loading import import_string

    path = config.notifier
    try:
        return import_string(path)(**config.arguments)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"there is no notifier {path}: {error}",
            hint=f"correct `{section}` in targets.yaml, or install the provider's package on every worker",
        ) from error
    except TypeError as error:
        raise ConfigurationError(
            f"notifier {path} does not take these arguments: {error}",
            hint=f"correct them in `{section}` of targets.yaml",
        ) from error
