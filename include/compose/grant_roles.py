"""Let each user of SeaweedFS do its role's job in the bucket, and no other's. Can be repeated."""

from __future__ import annotations

import json
import os
from pathlib import Path

from backstop.credentials import Credential
from backstop.model.access_policy import Place
from backstop.storage.s3_client import s3_client
from embedded.roles import grant_roles


def main() -> None:
    """As the administrator, whom nobody else comes as."""
    identities = json.loads(Path("/run/secrets/s3_identities").read_text(encoding="utf-8"))["identities"]
    key = next(one["credentials"][0] for one in identities if one["actions"])
    credential = Credential("administrator", "aws", login=key["accessKey"], password=key["secretKey"])
    administrator = s3_client(credential, endpoint_url=os.environ["S3_ENDPOINT"])
    grant_roles(administrator, Place(os.environ["S3_BUCKET"]))


if __name__ == "__main__":
    main()
