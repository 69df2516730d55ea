"""Builds the S3 client that :class:`~backstop.storage.s3.S3Storage` is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from backstop.assumed_role import ROLE_EXTRA, session_in_role
from backstop.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_s3 import S3Client

    from backstop.assumed_role import AccessKey

CONNECT_TIMEOUT_SECONDS = 10.0
READ_TIMEOUT_SECONDS = 60.0
_CONNECTIONS = 24  # two uploads of four parts each, lists and leases beside them, and some slack
_KNOWN_EXTRA = frozenset({"aws_session_token", "endpoint_url", "region_name", "verify"}) | ROLE_EXTRA


def s3_client(
    credential: AccessKey | None,
    *,
    endpoint_url: str | None = None,
    region: str | None = None,
    connect_timeout: float = CONNECT_TIMEOUT_SECONDS,
    read_timeout: float = READ_TIMEOUT_SECONDS,
) -> S3Client:
    """A thread-safe client that notices a stalled service within ``read_timeout`` seconds.

    It does not retry by itself: :class:`~backstop.storage.s3_retry.Patience` does, knowing deadlines and what
    a lost acknowledgement means. Takes about a second to build.

    :param credential: None means AWS's own search: environment, shared files, the host's role. Its ``extra``
        may hold ``aws_session_token``, ``endpoint_url``, ``region_name``, ``verify`` (path of a CA bundle),
        and the role to come as (:mod:`backstop.assumed_role`).
    :param endpoint_url: of another service than AWS; wins over the connection's.
    :raises ConfigurationError: the connection says something this program would otherwise ignore.
    """
    # Not at the top: it costs a quarter of a second, and everything but S3 works without it. Not boto3: its
    # client is the same one with transfers and resources on top, which we do not use and would pay for.
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    extra = _known_extra(credential)
    endpoint = endpoint_url or extra.get("endpoint_url")
    secure = endpoint is None or _scheme(str(endpoint), credential) == "https"
    config = Config(
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        max_pool_connections=_CONNECTIONS,
        tcp_keepalive=True,
        retries={"mode": "standard", "total_max_attempts": 1},
        # S3Storage sends checksums of its own in headers: cheaper, and every service understands them.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={
            "addressing_style": "path" if endpoint else "auto",
            # TLS protects the body already; without it the signature must.
            "payload_signing_enabled": not secure,
        },
    )
    region_name = region or extra.get("region_name") or ("us-east-1" if endpoint else None)
    in_role = session_in_role(credential, region=region_name)
    own: dict[str, Any] = {}
    if credential is not None and in_role is None:
        own = {
            "aws_access_key_id": credential.login or None,
            "aws_secret_access_key": credential.password or None,
            "aws_session_token": extra.get("aws_session_token"),
        }
    try:
        # A session of its own: one that is shared is not thread-safe.
        client = (in_role or Session()).create_client(
            "s3",
            endpoint_url=str(endpoint) if endpoint else None,
            region_name=region_name,
            **own,
            verify=extra.get("verify"),
            config=config,
        )
        return cast("S3Client", client)
    except (BotoCoreError, ValueError) as error:
        raise ConfigurationError(
            f"no S3 client can be built: {type(error).__name__}",
            hint="check endpoint_url and region in targets.yaml, and both keys in the connection",
        ) from error


def _known_extra(credential: AccessKey | None) -> Mapping[str, Any]:
    if credential is None:
        return {}
    unknown = sorted(set(credential.extra) - _KNOWN_EXTRA)
    if unknown:
        raise ConfigurationError(
            f"connection {credential.conn_id!r} has extras Backstop does not use: {', '.join(unknown)}",
            hint=f"known are {', '.join(sorted(_KNOWN_EXTRA))}",
        )
    if bool(credential.login) != bool(credential.password):
        raise ConfigurationError(
            f"connection {credential.conn_id!r} has only one of access key (login) and secret key (password)",
            hint="set both, or neither to use the host's own role",
        )
    return credential.extra


def _scheme(endpoint: str, credential: AccessKey | None) -> str:
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        where = f"of connection {credential.conn_id!r} " if credential else ""
        raise ConfigurationError(
            f"the S3 endpoint {where}is not a URL such as https://s3.example.com:8333",
            hint="write it without user name or password",
        )
    return parts.scheme
