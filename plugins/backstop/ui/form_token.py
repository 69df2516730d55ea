"""Forms that only a page of ours can have sent, on behalf of whoever saw it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from itsdangerous import BadData, URLSafeTimedSerializer

from backstop.ui.problems import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import Request

    from backstop.ui.auth import Viewer

MAX_AGE_SECONDS = 3600


class FormTokens:
    """Signed with Airflow's own secret, bound to the user and to what the form is about.

    :param secret: asked for at each use, so that a changed one counts at once.
    """

    def __init__(self, secret: Callable[[], str]) -> None:
        self._secret = secret

    def issue(self, viewer: Viewer, subject: str) -> str:
        """For one form on one page."""
        return str(self._signer().dumps([viewer.user_id, subject, secrets.token_hex(8)]))

    def require(self, token: str, viewer: Viewer, subject: str) -> str:
        """:returns: which form it is: that of no other page, and the same however often it is sent.

        :raises Refused: it is none of ours, another user's, another form's, or too old.
        """
        try:
            *given, form = self._signer().loads(token, max_age=MAX_AGE_SECONDS)
        except (BadData, TypeError, ValueError):
            given, form = [], ""
        if given != [viewer.user_id, subject]:
            raise Refused(
                "this form is too old, or was not made for you; nothing was started",
                hint="open the page again and send the form within an hour",
            )
        return str(form)

    def _signer(self) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self._secret(), salt="backstop restore form")


def require_same_origin(request: Request) -> None:
    """:raises Refused: a page of somebody else's made the browser send this.

    Browsers say where a POST comes from: ``Sec-Fetch-Site`` where the connection is safe, else ``Origin``. A
    client that says nothing is no browser, and the form's token is asked for all the same.
    """
    fetched = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if fetched is not None:
        foreign = fetched != "same-origin"
    else:
        foreign = origin is not None and urlsplit(origin).netloc not in _own_hosts(request)
    if foreign:
        raise Refused(
            "this form was sent by another site; nothing was started",
            hint="open the page in Airflow and send it from there",
        )


def _own_hosts(request: Request) -> tuple[str, ...]:
    """As the browser knows us; a proxy between may have renamed us."""
    from airflow.configuration import conf

    base = urlsplit(conf.get("api", "base_url", fallback="")).netloc
    return tuple(host for host in (request.headers.get("host", ""), base) if host)
