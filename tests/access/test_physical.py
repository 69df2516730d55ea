"""Base backups, WAL and recovery, each by its own role, against a server that holds it to its policy."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import pytest
import yaml

from backstop.model.access import AccessRole
from tests.access.bucket import RoleBucket
from tests.cli.test_physical import TARGET, Site

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(180)]


class RoleSite(Site):
    """A protected server whose ``near`` is a bucket: with a connection for each role, and none for all."""

    bucket: RoleBucket

    def write_targets(self, **changes):
        path = super().write_targets(**changes)
        document = yaml.safe_load(path.read_text())
        document["repositories"]["near"] = {
            "type": "s3",
            "bucket": self.bucket.name,
            "endpoint_url": self.bucket.server.endpoint_url,
            "region": "us-east-1",
            "connections": {role.value: f"s3_{role.value}" for role in AccessRole},
        }
        path.write_text(yaml.safe_dump(document))
        return path

    def prepare(self):
        super().prepare()
        credentials = self.folder / "connections.json"
        known = json.loads(credentials.read_text())
        credentials.write_text(json.dumps(known | self.bucket.connections()))

    def bucket_has(self, prefix: str) -> bool:
        client = self.bucket.administrator()
        return client.list_objects_v2(Bucket=self.bucket.name, Prefix=prefix)["KeyCount"] > 0


@pytest.fixture
def site(seaweedfs, monkeypatch):
    folder = Path(tempfile.mkdtemp(prefix="backstop-cli-"))
    folder.chmod(0o755)
    site = RoleSite(folder)
    site.bucket = RoleBucket(seaweedfs, "backstop-roles-physical").create()
    monkeypatch.setenv("BACKSTOP_TARGETS", str(site.targets))
    monkeypatch.setenv("BACKSTOP_CREDENTIALS", str(folder / "connections.json"))
    try:
        site.prepare()
        site.text("init-keys")
        yield site
    finally:
        if site.archiver is not None:
            site.archiver.kill()
            site.archiver.wait()
        site.server.stop()
        shutil.rmtree(folder)


def test_what_the_writer_ships_the_verifier_proves_and_the_restorer_recovers(site):
    site.start_archiver()
    site.keep_archiving()
    site.write(1)
    full = site.run("take-base-backup")
    # It begins anew where it ended, without reading any WAL back.
    assert site.end_archiver() == 0, site.said()
    site.keep_archiving()
    site.write(2)
    incremental = site.run("take-base-backup", "--incremental")
    moment = site.write(3)
    site.wait_until_archived()
    proofs = site.run("verify", "--label", incremental["label"], "--repository", "near")["proofs"]
    assert [(one["repository"], one["matched"]) for one in proofs] == [("near", True)]
    with site.server.connect() as session:
        session.execute("DELETE FROM ledger")
    site.wait_until_archived()

    assert incremental["parent"] == full["label"]
    assert {*full["repositories"].values(), *incremental["repositories"].values()} == {"completed"}
    assert site.bucket_has(f"{TARGET}/data/wal/")
    assert site.run("recovery-windows", "--from", "near")["problems"] == []
    into = site.recovered / "beside"
    beside = ("--beside-only", "--from", "near", "--into", str(into), "--yes")
    done = site.run("restore-to-point-in-time", "--to", moment.isoformat(), *beside)
    assert done["recovered"]["data"] == str(into)

    # A new timeline: the writer ships its history beside the old one.
    timeline = site.timeline()
    site.run("restore-to-point-in-time", "--to", moment.isoformat(), "--cut-over", "--from", "near", "--yes")
    assert (site.rows(), site.timeline() > timeline) == ([1, 2, 3], True)
    site.keep_archiving()
    site.write(4)
    site.wait_until_archived()
    assert site.run("take-base-backup", "--full")["repositories"] == {"near": "completed", "far": "completed"}
    site.run("check-objects", "--share", "100%", "--repository", "near")
    site.run("expire", "--repository", "near", "--yes")
