"""A bucket whose policy grants each role what the product's own list of grants says, and nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backstop.model.access_policy import Place
from embedded.roles import client_of, connections, grant_roles
from embedded.seaweedfs import user_arn

if TYPE_CHECKING:
    from backstop.model.access import AccessRole
    from embedded.seaweedfs import EmbeddedSeaweedFS


@dataclass(frozen=True)
class RoleBucket:
    """A bucket with versions on a real server; a role's client is held to the role's grants."""

    server: EmbeddedSeaweedFS
    name: str
    locks: bool = False
    prefix: str = ""
    everybody: bool = False

    @property
    def place(self) -> Place:
        # As include/aws has it: below a prefix nobody else has anything, and perhaps not beside it either.
        targets = ("*",) if self.prefix or self.everybody else ("calibrify",)
        return Place(self.name, prefix=self.prefix, targets=targets)

    def create(self) -> RoleBucket:
        client = self.administrator()
        client.create_bucket(Bucket=self.name, **({"ObjectLockEnabledForBucket": True} if self.locks else {}))
        client.put_bucket_versioning(Bucket=self.name, VersioningConfiguration={"Status": "Enabled"})
        grant_roles(client, self.place)
        return self

    def grant(self, role: AccessRole, **allowed: Any) -> None:
        """More than the product asks for. :param allowed: ``Action`` and so on of one statement."""
        client = self.administrator()
        policy = json.loads(client.get_bucket_policy(Bucket=self.name)["Policy"])
        who = {"Principal": {"AWS": [user_arn(role.value)]}}
        policy["Statement"].append({"Effect": "Allow", **who, **allowed})
        client.put_bucket_policy(Bucket=self.name, Policy=json.dumps(policy))

    def administrator(self) -> Any:
        return client_of(self.server)

    def client(self, role: AccessRole) -> Any:
        return client_of(self.server, role)

    def connections(self) -> dict[str, dict[str, Any]]:
        """As a credentials file has them: ``s3_writer`` and so on."""
        return connections(self.server)
