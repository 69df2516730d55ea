"""AWS credentials of a role that a connection names: assumed when first needed, and again before they end.

The connection has the extras of Airflow's own ``aws`` connections, ``role_arn`` and ``assume_role_kwargs``
(``ExternalId``, ``DurationSeconds``, ``RoleSessionName``). The renewal is botocore's, as for roles in its own
configuration files. Where STS lies is botocore's too: ``AWS_ENDPOINT_URL_STS`` names another place.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from backstop.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.credentials import Credentials
    from botocore.session import Session

ROLE_EXTRA = frozenset({"role_arn", "assume_role_method", "assume_role_kwargs"})
"""What of a connection's extra this module reads."""
_METHOD = "assume-role"
_KWARGS = {"DurationSeconds": int, "ExternalId": str, "RoleSessionName": str}
_ROLE_ARN = re.compile(r"arn:[a-z-]+:iam::\d{12}:role/[\w+=,.@/-]+", re.ASCII)
_TIMEOUT_SECONDS = 10.0
_ATTEMPTS = 3


class AccessKey(Protocol):
    """The part of :class:`backstop.credentials.Credential` that AWS needs; an ``aws`` connection of Airflow.

    ``login`` is the access key id, ``password`` the secret key.
    """

    @property
    def conn_id(self) -> str: ...
    @property
    def login(self) -> str | None: ...
    @property
    def password(self) -> str | None: ...
    @property
    def extra(self) -> Mapping[str, Any]: ...


def session_in_role(credential: AccessKey | None, *, region: str | None = None) -> Session | None:
    """A session that acts as the role; None where the connection names none. Nobody is asked yet.

    Whoever assumes it is whom the connection's own keys belong to, else the host.

    :param region: whose STS is asked.
    :raises ConfigurationError: what the connection says of the role is malformed.
    """
    extra = credential.extra if credential is not None else {}
    if credential is None or not ROLE_EXTRA & extra.keys():
        return None
    from botocore.credentials import CredentialResolver
    from botocore.session import Session

    _refuse_malformed(credential)
    session = Session()
    provider = _provider(credential, region or extra.get("region_name") or "us-east-1")
    session.register_component("credential_provider", CredentialResolver([provider]))
    return session


def _provider(credential: AccessKey, region: str) -> Any:
    from botocore.config import Config
    from botocore.credentials import (
        AssumeRoleCredentialFetcher,
        CredentialProvider,
        DeferredRefreshableCredentials,
    )
    from botocore.session import Session

    patience = Config(
        connect_timeout=_TIMEOUT_SECONDS,
        read_timeout=_TIMEOUT_SECONDS,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
    )
    extra = credential.extra

    class _AssumedRole(CredentialProvider):
        METHOD = _METHOD

        def load(self) -> Any:
            base = Session()
            fetcher = AssumeRoleCredentialFetcher(
                partial(base.create_client, region_name=region, verify=extra.get("verify"), config=patience),
                _source(credential, base),
                extra["role_arn"],
                extra_args={"RoleSessionName": "backstop", **extra.get("assume_role_kwargs", {})},
            )
            fetch = partial(_fetch, fetcher.fetch_credentials, credential)
            return DeferredRefreshableCredentials(fetch, _METHOD)

    return _AssumedRole()


def _source(credential: AccessKey, base: Session) -> Credentials:
    from botocore.credentials import Credentials

    if credential.login:
        token = credential.extra.get("aws_session_token")
        return Credentials(credential.login, credential.password or "", token)
    found = base.get_credentials()
    if found is None:
        raise ConfigurationError(
            f"connection {credential.conn_id!r} has a role_arn, and nobody who could assume it",
            hint="give the host a role of its own, or the connection an access key and a secret key",
        )
    return found


def _fetch(fetch: Callable[[], Any], credential: AccessKey) -> Any:
    from botocore.exceptions import ClientError

    try:
        return fetch()
    except ClientError as error:
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        code = str(error.response.get("Error", {}).get("Code", ""))
        if status >= 500 or status == 429 or code.startswith(("Throttl", "RequestLimit")):
            raise  # as any other request: it is made again
        # No cause: of the answer its code alone is repeated.
        raise ConfigurationError(
            f"role {credential.extra['role_arn']} of connection {credential.conn_id!r} cannot be assumed: "
            f"{code}",
            hint="its trust policy must name who asks (include/aws), and who asks needs sts:AssumeRole on it",
        ) from None


def _refuse_malformed(credential: AccessKey) -> None:
    extra = credential.extra
    given = extra.get("assume_role_kwargs", {})
    if not isinstance(extra.get("role_arn"), str) or not _ROLE_ARN.fullmatch(extra["role_arn"]):
        problem = "has a role_arn that is not the ARN of a role"
    elif extra.get("assume_role_method", "assume_role") != "assume_role":
        problem = "has another assume_role_method than assume_role"
    elif not isinstance(given, dict) or not all(
        name in _KWARGS and type(value) is _KWARGS[name] for name, value in given.items()
    ):
        problem = f"has other assume_role_kwargs than {', '.join(sorted(_KWARGS))}"
    else:
        return
    raise ConfigurationError(
        f"connection {credential.conn_id!r} {problem}",
        hint='its extra looks like {"role_arn": "arn:aws:iam::123456789012:role/backstop-writer"}',
    )
