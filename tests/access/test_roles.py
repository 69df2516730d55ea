"""Every role does its own work against a server that holds it to its policy."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import pytest

from backstop.cli.main import main
from backstop.model.access import AccessRole
from tests.access.bucket import RoleBucket

pytestmark = pytest.mark.integration


@pytest.fixture
def folder():
    """Short, since PostgreSQL's sockets may lie below it."""
    path = Path(tempfile.mkdtemp(prefix="backstop-roles-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(
    params=[pytest.param(False, marks=pytest.mark.long, id="plain"), pytest.param(True, id="locking")]
)
def bucket(seaweedfs, request):
    name = "backstop-roles-locking" if request.param else "backstop-roles-at-work"
    return RoleBucket(seaweedfs, name, locks=request.param).create()


@pytest.fixture
def run(bucket, database, folder, new_database, postgres18, monkeypatch, capsys):
    """A verb, with a connection for each role of the one bucket, and none that may do everything."""
    inventory = new_database(postgres18)
    with database.connect() as session:
        session.execute("CREATE TABLE public.equipment AS SELECT n AS id FROM generate_series(1, 1000) n")
    (folder / "media").mkdir()
    (folder / "media" / "one.txt").write_text("one")
    connections = {
        name: {
            "conn_type": "postgres",
            "host": one.host,
            "port": one.port,
            "login": one.user,
            "password": one.password,
            "schema": one.dbname,
        }
        for name, one in (("source", database), ("restorer", database), ("inventory", inventory))
    }
    credentials = folder / "connections.json"
    credentials.touch(mode=0o600)
    credentials.write_text(json.dumps(connections | bucket.connections()))
    roles = "{" + ", ".join(f"{role.value}: s3_{role.value}" for role in AccessRole) + "}"
    place = f"bucket: {bucket.name}, endpoint_url: {bucket.server.endpoint_url}, region: us-east-1"
    if bucket.locks:
        place += ", lock: {mode: compliance}"
    (folder / "targets.yaml").write_text(
        f"""\
version: 1
keys:
  lab: {{storage: local, path: {folder}/ring.json, signing: {folder}/signing, escrow: {{waived: test}}}}
repositories:
  s3: {{type: s3, {place}, connections: {roles}}}
  near: {{type: posix, path: {folder}/near}}
inventory: {{conn_id: inventory}}
targets:
  calibrify:
    keys: lab
    database:
      conn_id: source
      restore_conn_id: restorer
      dbname: {database.dbname}
      repositories: [s3]
      spool: {folder}/spool
      verify: {{isolation: preferred}}
      restore: {{allow_superuser: true}}
    trees:
      media: {{paths: [{folder}/media], repositories: [s3, near], spool: {folder}/spool}}
"""
    )
    monkeypatch.setenv("BACKSTOP_TARGETS", str(folder / "targets.yaml"))
    monkeypatch.setenv("BACKSTOP_CREDENTIALS", str(credentials))
    assert main(["init-keys"]) == 0
    assert main(["migrate-inventory"]) == 0
    capsys.readouterr()

    def run(*argv: str, code: int = 0):
        found = main([*argv, "--json"])
        out, err = capsys.readouterr()
        assert found == code, f"{argv}: {err}{out}"
        return json.loads(out)

    return run


def require_locked(bucket, *labels):
    """The manifests are, each by the rule of what is kept for ever; and so is the first payload object."""
    for label in labels:
        client, where = bucket.administrator(), {"Bucket": bucket.name}
        key = f"calibrify/meta/manifests/{label}.json"
        manifest = json.loads(client.get_object(**where, Key=key)["Body"].read())
        for name in (key, manifest["objects"][0]["key"]):
            assert client.get_object_retention(**where, Key=name)["Retention"]["Mode"] == "COMPLIANCE"


def test_each_role_does_its_own_work_with_what_its_policy_grants(run, bucket, folder):
    dump = run("back-up-database")["label"]
    tree = run("back-up-files", "--tree", "media")["label"]
    (folder / "media" / "two.txt").write_text("two")
    second = run("back-up-files", "--tree", "media")
    assert (second["new_files"], second["warnings"]) == (1, []), (
        "it was compared with what the writer may read"
    )

    proofs = run("verify")["proofs"]
    assert all(proof["matched"] for proof in proofs)
    assert {proof["label"] for proof in proofs} >= {dump, tree}
    if bucket.locks:
        require_locked(bucket, dump, tree)
    run("hold", "--label", dump, "--reason", "an audit")
    run("release-hold", "--label", dump, "--number", "1")
    run("check-objects", "--share", "100%")
    run("rebuild-inventory")
    run("evidence", "verify")
    run("orphans")
    found = [one for one in run("watch-backups")["targets"][0]["findings"] if one["check"] == "repository"]
    assert found == [], "an auditor is not asked to write"
    run("sync-repositories")
    run(
        "restore-files",
        "--tree",
        "media",
        "--label",
        tree,
        "--to",
        str(folder / "back"),
        "--from",
        "s3",
        "--yes",
    )
    assert (folder / "back").exists()
    run("expire", "--repository", "s3", "--dry-run")

    key = json.loads((folder / "ring.json").read_text())["keys"][0]["id"]
    run("rotate-keys", "--now")
    anew = run("reencrypt", "--key", key)
    assert set(anew["successors"]) == {dump, tree, second["label"]}
    assert anew["complete"]
    proofs = run("verify")["proofs"]
    assert all(proof["matched"] for proof in proofs)
    assert {proof["label"] for proof in proofs} == set(anew["successors"].values())
    if bucket.locks:
        require_locked(bucket, *anew["successors"].values())
