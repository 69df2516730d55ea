"""One user of the S3 server a role, and what the bucket lets each do: as in AWS, so also here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from backstop.credentials import Credential
from backstop.model.access import AccessRole
from backstop.model.access_policy import Place, bucket_policy
from backstop.storage.s3_client import s3_client
from embedded.seaweedfs import user_arn

if TYPE_CHECKING:
    from embedded.seaweedfs import EmbeddedSeaweedFS

USERS = tuple(role.value for role in AccessRole)
_UNKNOWN_TO_SEAWEEDFS = {"TlsOnly", "MetaIsNeverOverwritten"}
"""It speaks HTTP here, and knows no ``s3:if-none-match``: these guards would refuse everything."""


def connection_of(role: AccessRole) -> str:
    """The id of the connection with which somebody comes as that role."""
    return f"s3_{role.value}"


def grant_roles(administrator: Any, place: Place) -> None:
    """Let each role do its own job in the bucket, and no other's. Can be repeated.

    :param administrator: boto3's client of whoever may set policies.
    """
    policy = bucket_policy(place, principals={role: [user_arn(role.value)] for role in AccessRole})
    policy["Statement"] = [one for one in policy["Statement"] if one["Sid"] not in _UNKNOWN_TO_SEAWEEDFS]
    administrator.put_bucket_policy(Bucket=place.bucket, Policy=json.dumps(policy))


def client_of(server: EmbeddedSeaweedFS, role: AccessRole | None = None) -> Any:
    """boto3's client of that role; of the administrator when none is named."""
    login, password = (
        server.keys_of(role.value) if role is not None else (server.access_key, server.secret_key)
    )
    key = Credential("s3", "aws", login=login, password=password)
    return s3_client(key, endpoint_url=server.endpoint_url)


def connections(server: EmbeddedSeaweedFS, **extra: Any) -> dict[str, dict[str, Any]]:
    """One a role, as a file of connections has them: ``s3_writer`` and so on.

    :param extra: what else Airflow's own hooks are told.
    """
    return {
        connection_of(role): {
            "conn_type": "aws",
            "login": login,
            "password": password,
            **({"extra": extra} if extra else {}),
        }
        for role in AccessRole
        for login, password in [server.keys_of(role.value)]
    }
