"""What targets.yaml says of telling those who wait in a disaster, as the commands want it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from backstop.commands.disaster.telling import Communication, Listener
    from backstop.commands.disaster.texts import TextSources
    from backstop.credentials import CredentialSource
    from backstop.targets import Configuration
    from backstop.targets.disaster import Texts


def communication(
    configuration: Configuration,
    target: str,
    credentials: CredentialSource,
    *,
    clock: Callable[[], datetime],
    more: Sequence[Listener] = (),
    say: Callable[[str], None] | None = None,
) -> Communication:
    """:param more: Airflow's notifiers, where there is Airflow.

    :param say: takes what stakeholders should be told where nobody else tells them.
    """
    from backstop.commands.disaster.telling import Communication

    return Communication(
        [*status_page(configuration, target, credentials), *more],
        text_sources(configuration, target),
        clock=clock,
        say=say,
    )


def status_page(configuration: Configuration, target: str, credentials: CredentialSource) -> list[Listener]:
    """None or one. A connection that cannot be read is not a reason to stop: who is told later says so."""
    from backstop.commands.disaster.status_page import StatusPageListener, page_of

    page = configuration.targets[target].disaster.status_page
    if page is None:
        return []
    return [
        StatusPageListener(
            lambda: page_of(credentials.get(page.conn_id), path=page.path, timeout=page.timeout)
        )
    ]


def text_sources(configuration: Configuration, target: str) -> TextSources:
    """The templates of one target."""
    from backstop.commands.disaster.texts import TextSources

    disaster = configuration.targets[target].disaster
    page = disaster.status_page
    return TextSources(
        stakeholders=_named(disaster.texts),
        public=_named(page.texts) if page else {},
        body=page.body if page else None,
    )


def _named(texts: Texts) -> dict[str, str]:
    return {
        moment: text
        for moment, text in (("start", texts.start), ("progress", texts.progress), ("end", texts.end))
        if text is not None
    }
