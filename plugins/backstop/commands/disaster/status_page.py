"""A page for those who wait, told by a request. Works without Airflow."""

from __future__ import annotations

import logging
import re
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from backstop.commands.patience import bounded
from backstop.errors import BackstopError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta

    from backstop.commands.disaster.texts import Message
    from backstop.credentials import Credential

_FOR_THE_HOOK = {
    "allow_redirects", "cert", "check_response", "max_redirects", "proxies", "stream", "timeout", "trust_env",
    "verify",
}  # fmt: skip
"""Extras by which Airflow's own hook is steered; every other one is a header."""


class NotToldError(BackstopError):
    """Somebody who waits could not be told how a recovery stands; the recovery goes on."""

    next_step = "tell them yourself; the incident's journal has the text"


@dataclass(frozen=True, slots=True)
class Page:
    """Where it is told. :param headers: with the token; they appear nowhere.

    :param verify: True, False, or a file with the certificates of those who are trusted.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    timeout: timedelta
    verify: bool | str = True


def page_of(credential: Credential, *, path: str, timeout: timedelta) -> Page:
    """From an HTTP connection in Airflow's form: host, port, schema ``https``; the password is the token,
    the extra are further headers.

    :raises ConfigurationError: it names no address, or what cannot be sent as a header.
    """
    name = f"connection {credential.conn_id!r}"
    if credential.conn_type not in ("", "http", "https"):
        raise ConfigurationError(
            f"{name} is of type {credential.conn_type!r}, not http", hint="name another conn_id"
        )
    if not credential.host:
        raise ConfigurationError(f"{name} has no host", hint="add the status page's address to it")
    headers = {"Content-Type": "application/json", "User-Agent": "backstop"}
    if credential.password:
        headers["Authorization"] = f"Bearer {credential.password}"
    extra = {str(key): value for key, value in credential.extra.items() if key not in _FOR_THE_HOOK}
    headers |= {key: str(value) for key, value in extra.items()}
    for key, value in headers.items():
        if not re.fullmatch(r"[A-Za-z0-9-]+", key) or not re.fullmatch(r"[\x20-\x7e]*", value):
            raise ConfigurationError(
                f"{name} has a password or an extra that cannot be sent as a header ({key})",
                hint="take line breaks and what is no ASCII out of it",
            )
    return Page(_address(credential, path), headers, timeout, verify=credential.extra.get("verify", True))


def _address(credential: Credential, path: str) -> str:
    scheme = "https" if credential.conn_type == "https" else "http"
    if credential.schema in ("http", "https"):
        scheme = credential.schema
    host = credential.host or ""
    base = host if "://" in host else f"{scheme}://{host}"
    parts = urlsplit(base)
    if credential.port and parts.port is None:
        base = parts._replace(netloc=f"{parts.netloc}:{credential.port}").geturl()
    return f"{base.rstrip('/')}/{path.lstrip('/')}" if path else base


class StatusPageListener:
    """Takes what everybody may read. :param find: where the page is; asked whenever it is told something."""

    name = "status page"
    public = True

    def __init__(self, find: Callable[[], Page]) -> None:
        self._find = find

    def tell(self, message: Message) -> None:
        """:raises NotToldError: it answered something else than a success.

        :raises ConfigurationError: nobody knows where it is. :raises TimeoutError: it did not answer in time.
        Whatever else the connection fails with is raised.
        """
        page = self._find()
        bounded(lambda: _post(page, message.public.body), page.timeout.total_seconds(), name=self.name)


def _post(page: Page, body: str) -> None:
    import httpx

    # It writes every address to the log, and some are how one gets in.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # Redirects are not followed: the token is for this address.
    with (
        httpx.Client(
            timeout=page.timeout.total_seconds(), follow_redirects=False, verify=_trusted(page)
        ) as client,
        client.stream("POST", page.url, content=body.encode(), headers=dict(page.headers)) as answer,
    ):
        if not answer.is_success:
            raise NotToldError(
                f"the status page answered {answer.status_code}",
                hint="look at `disaster.status_page` and its connection's token",
            )


def _trusted(page: Page) -> ssl.SSLContext | bool:
    return ssl.create_default_context(cafile=page.verify) if isinstance(page.verify, str) else page.verify
