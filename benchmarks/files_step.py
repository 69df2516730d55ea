"""One step of Backstop in a process of its own, for the benchmarks of files to measure.

    python -m benchmarks.files_step STEP.json backup --prefix backstop/1

``send`` and ``fetch`` move one file to and from S3: what a plain tar needs besides.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "plugins"))

from backstop.credentials import Credential
from backstop.storage.s3_client import s3_client

_TREE = "media"
_STEPS = ("backup", "restore", "send", "fetch")


class Step:
    """What they print is one JSON document."""

    def __init__(self, told: dict[str, Any], arguments: argparse.Namespace) -> None:
        self.told = told
        self.arguments = arguments

    def _repository(self) -> Any:
        from backstop.crypto.signing import TrustedSigners
        from backstop.repository.catalog import Catalog, Repository
        from backstop.storage.s3 import S3Storage

        key = Credential(
            conn_id="s3", conn_type="aws", login=self.told["access"], password=self.told["secret"]
        )
        client = s3_client(key, endpoint_url=self.told["endpoint"])
        storage = S3Storage(client, bucket=self.told["bucket"], prefix=self.arguments.prefix)
        trust = TrustedSigners.load(Path(self.told["signing"]) / "trusted.json")
        return Repository("s3", storage, Catalog(storage, "bench", trust=trust))

    def backup(self) -> dict[str, Any]:
        from backstop.commands.progress import Silent
        from backstop.commands.trees.backup import back_up_files
        from backstop.commands.trees.settings import TreeBackupSettings
        from backstop.crypto.keyring import LocalKeyring
        from backstop.crypto.signing import Signer

        report = back_up_files(
            target="bench",
            tree=_TREE,
            repositories=[self._repository()],
            keyring=LocalKeyring.load(Path(self.told["keyring"])),
            signer=Signer.load(Path(self.told["signing"]) / "manifest.pem"),
            settings=TreeBackupSettings(
                staging=Path(self.told["spool"]), patterns=(str(self.arguments.source),)
            ),
            clock=_now,
            holder="benchmark",
            progress=Silent(),
        )
        return report.to_dict()

    def restore(self) -> dict[str, Any]:
        """The newest backup, into a new folder: planned, restored, read again and compared, put in place."""
        from backstop.commands.progress import Silent
        from backstop.commands.trees.restore import TreeRestore
        from backstop.commands.trees.settings import TreeRestoreSettings
        from backstop.crypto.keyring import LocalKeyring

        repository = self._repository()
        restore = TreeRestore(
            repository=repository,
            label=max(label for label, _ in repository.catalog.labels()),
            keyring=LocalKeyring.load(Path(self.told["keyring"])),
            settings=TreeRestoreSettings(scratch=Path(self.told["spool"])),
            clock=_now,
            progress=Silent(),
        )
        restored = restore.restore_beside(restore.plan(destination=self.arguments.destination))
        if differences := restore.validate(restored):
            raise RuntimeError("\n".join(differences))
        restore.swap(restored)
        return restore.watch.seconds()

    def send(self) -> dict[str, Any]:
        self._transfers().upload_file(str(self.arguments.source), self.told["bucket"], self.arguments.prefix)
        return {}

    def fetch(self) -> dict[str, Any]:
        bucket, key = self.told["bucket"], self.arguments.prefix
        self._transfers().download_file(bucket, key, str(self.arguments.destination))
        return {}

    def _transfers(self) -> Any:
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.told["endpoint"],
            aws_access_key_id=self.told["access"],
            aws_secret_access_key=self.told["secret"],
        )


def _now() -> datetime:
    return datetime.now(timezone.utc)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("told", type=Path)
    parser.add_argument("step", choices=_STEPS)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--source", type=Path)
    parser.add_argument("--destination", type=Path)
    arguments = parser.parse_args()
    told = json.loads(arguments.told.read_text())
    print(json.dumps(getattr(Step(told, arguments), arguments.step)()))


if __name__ == "__main__":
    # As ``python -m backstop`` has it.
    gc.set_threshold(50_000, 20, 20)
    main()
    gc.freeze()
