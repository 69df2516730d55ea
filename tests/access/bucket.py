"""A bucket whose policy grants each role what the product's own list of grants says, and nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backstop.credentials import Credential
from backstop.model.access import AccessRole
from backstop.model.access_policy import Place, bucket_policy
from backstop.storage.s3_client import s3_client
from embedded.seaweedfs import user_arn

if TYPE_CHECKING:
    from embedded.seaweedfs import EmbeddedSeaweedFS


@dataclass(frozen=True)
class RoleBucket:
    """A bucket with versions on a real server; a role's client is held to the role's grants."""

    server: EmbeddedSeaweedFS
    name: str
    locks: bool = False
    prefix: str = ""

    @property
    def place(self) -> Place:
        # As include/aws has it: below a prefix nobody else has anything.
        targets = ("*",) if self.prefix else ("calibrify",)
        return Place(self.name, prefix=self.prefix, targets=targets)

    def create(self) -> RoleBucket:
        client = self.administrator()
        client.create_bucket(Bucket=self.name, **({"ObjectLockEnabledForBucket": True} if self.locks else {}))
        client.put_bucket_versioning(Bucket=self.name, VersioningConfiguration={"Status": "Enabled"})
        policy = bucket_policy(self.place, principals={role: [user_arn(role.value)] for role in AccessRole})
        # The server speaks HTTP here; and it knows neither s3:if-none-match nor aws:PrincipalArn: what these
        # guard besides is evaluated in test_policies.py.
        left_out = {"TlsOnly", "MetaIsNeverOverwritten"}
        policy["Statement"] = [one for one in policy["Statement"] if one["Sid"] not in left_out]
        client.put_bucket_policy(Bucket=self.name, Policy=json.dumps(policy))
        return self

    def grant(self, role: AccessRole, **allowed: Any) -> None:
        """More than the product asks for. :param allowed: ``Action`` and so on of one statement."""
        client = self.administrator()
        policy = json.loads(client.get_bucket_policy(Bucket=self.name)["Policy"])
        who = {"Principal": {"AWS": [user_arn(role.value)]}}
        policy["Statement"].append({"Effect": "Allow", **who, **allowed})
        client.put_bucket_policy(Bucket=self.name, Policy=json.dumps(policy))

    def administrator(self) -> Any:
        return self._client(self.server.access_key, self.server.secret_key)

    def client(self, role: AccessRole) -> Any:
        return self._client(*self.server.keys_of(role.value))

    def _client(self, login: str, password: str) -> Any:
        key = Credential("s3", "aws", login=login, password=password)
        return s3_client(key, endpoint_url=self.server.endpoint_url)

    def connections(self) -> dict[str, dict[str, Any]]:
        """As a credentials file has them: ``s3_writer`` and so on."""
        return {
            f"s3_{role.value}": {"conn_type": "aws", "login": login, "password": password}
            for role in AccessRole
            for login, password in [self.server.keys_of(role.value)]
        }
