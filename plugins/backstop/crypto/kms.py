"""Key encryption keys in AWS KMS: they never leave it, and each use is in its audit log with the context."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any

from backstop.crypto.key_encryption import KeyEncryptionKey
from backstop.crypto.keyring import check_keys
from backstop.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from botocore.session import Session as BotocoreSession

_KEY_ARN = re.compile(r"arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):\d{12}:key/[A-Za-z0-9-]+")
_CONNECT_SECONDS, _READ_SECONDS, _ATTEMPTS = 5, 20, 5


class KmsKeyring:
    """One or several KMS keys: the first generates data keys, the others wrap them too (another region).

    Strict: only these keys open anything, whatever a message says it was wrapped by. A replica of a
    multi-Region key opens what its siblings wrapped.

    :param key_arns: full key ARNs; aliases can be pointed elsewhere, so they are refused.
    :param client_for: a boto3 KMS client for a region, see :func:`kms_clients`; called once a key.
    :param further_required: False writes without a further key that is out of reach.
    :raises ConfigurationError: no ARN, or one that is not a key ARN.
    """

    def __init__(
        self,
        key_arns: Sequence[str],
        *,
        client_for: Callable[[str], Any],
        further_required: bool = True,
    ) -> None:
        if not key_arns:
            raise ConfigurationError("no KMS key is named", hint="set `key_arn` under `keys` in targets.yaml")
        self._regions = {arn: key_region(arn) for arn in key_arns}
        self._client_for = client_for
        self._further_required = further_required
        self._keys: tuple[KeyEncryptionKey, ...] | None = None
        self._lock = threading.Lock()

    @property
    def key_ids(self) -> tuple[str, ...]:
        return tuple(self._regions)

    def encryption_keys(self) -> tuple[KeyEncryptionKey, ...]:
        # Once: a client costs about a second to build, and this is asked for every object.
        with self._lock:
            if self._keys is None:
                self._keys = tuple(
                    KeyEncryptionKey(
                        id=arn,
                        master_key=self._master_key(arn, region),
                        required=index == 0 or self._further_required,
                    )
                    for index, (arn, region) in enumerate(self._regions.items())
                )
            return self._keys

    def check(self, *, opening: bool = True) -> tuple[str, ...]:
        return check_keys(self, opening=opening)

    def _master_key(self, arn: str, region: str) -> Any:
        from aws_encryption_sdk.key_providers.kms import MRKAwareKMSMasterKey

        return MRKAwareKMSMasterKey(key_id=arn, client=self._client_for(region))


def kms_clients(
    *,
    access_key_id: str | None = None,
    secret_access_key: str | None = None,
    session_token: str | None = None,
    endpoint_url: str | None = None,
    session: BotocoreSession | None = None,
) -> Callable[[str], Any]:
    """Builds KMS clients for a region, with bounded patience and the retries AWS recommends.

    Without keys, boto3 finds credentials its usual way (role, environment, profile).

    :param session: has the credentials, such as those of an assumed role; then there are no keys.
    """
    from boto3.session import Session
    from botocore.config import Config

    clients = Session(
        botocore_session=session,
        aws_access_key_id=access_key_id,
        aws_secret_access_key=secret_access_key,
        aws_session_token=session_token,
    )
    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
    )

    def client_for(region: str) -> Any:
        return clients.client("kms", region_name=region, endpoint_url=endpoint_url, config=config)

    return client_for


def key_region(arn: str) -> str:
    """Where the key is. :raises ConfigurationError: that is no ARN of a key."""
    match = _KEY_ARN.fullmatch(arn)
    if match is None:
        raise ConfigurationError(
            f"{arn!r} is not the ARN of a KMS key",
            hint="give the full key ARN, arn:aws:kms:<region>:<account>:key/<id>, not an alias or a bare id",
        )
    return match["region"]
