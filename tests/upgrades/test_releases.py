"""What every released version wrote is read, restored and built upon by the code of today, and without it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from backstop import __version__
from backstop.cli.main import main
from backstop.repository.inventory import MIGRATIONS
from backstop.sql import load_sql
from embedded.postgres import pip_postgres_bin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backstop.postgres.connection import ClusterConnection
    from embedded.postgres import EmbeddedPostgres

ROOT = Path(__file__).parents[2]
RELEASES = Path(__file__).parent / "releases"
KEPT = sorted(one.name for one in RELEASES.iterdir() if one.is_dir())
QUERY = "SELECT count(*), sum(id), md5(string_agg(name, ',' ORDER BY id)) FROM public.equipment"


def expectation(version: str) -> dict[str, Any]:
    expected: dict[str, Any] = json.loads((RELEASES / version / "expected.json").read_text())
    return expected


def test_every_release_of_the_changelog_has_left_what_it_wrote():
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)

    assert released, "no release is named in CHANGELOG.md"
    assert sorted(released) == KEPT, "run scripts/keep_release.py when a release is cut (CONTRIBUTING.md)"
    assert __version__ == released[0], "backstop.__version__ is the version that was released last"


@pytest.mark.parametrize("version", KEPT)
def test_no_migration_that_was_released_has_changed_since(version):
    migrations = expectation(version)["migrations"]

    assert list(migrations) == list(MIGRATIONS[: len(migrations)])
    for name, sha256 in migrations.items():
        assert hashlib.sha256(load_sql(f"inventory/migrations/{name}").encode()).hexdigest() == sha256, name


@dataclass
class Release:
    """One of them, unpacked, with the code of today."""

    folder: Path
    expected: dict[str, Any]
    source: ClusterConnection

    def run(self, *argv: str, code: int = 0) -> Any:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            found = main([*argv, "--json", "--targets", str(self.folder / "targets.yaml")])
        assert found == code, out.getvalue() + err.getvalue()
        return json.loads(out.getvalue())

    def read(self) -> dict[str, bytes]:
        """Everything that the release has stored."""
        stored = self.folder / "repository"
        return {str(one.relative_to(stored)): one.read_bytes() for one in stored.rglob("*") if one.is_file()}


@pytest.fixture(scope="module", params=KEPT)
def release(request: pytest.FixtureRequest, postgres18: EmbeddedPostgres) -> Iterator[Release]:
    folder = Path(tempfile.mkdtemp(prefix="backstop-"))
    folder.chmod(0o711)
    with tarfile.open(RELEASES / request.param / "site.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    for path in folder.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    targets = folder / "targets.yaml"
    targets.write_text(targets.read_text().replace("{folder}", str(folder)))
    (folder / "recovered").mkdir(mode=0o755)
    (folder / "recovered").chmod(0o755)
    way = postgres18.connection()
    credential = {
        "conn_type": "postgres", "host": way.host, "port": way.port, "login": way.user,
        "password": way.password,
    }  # fmt: skip
    credentials = folder / "connections.json"
    credentials.touch(mode=0o600)
    credentials.write_text(json.dumps({"reader": credential, "replicator": credential}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BACKSTOP_CREDENTIALS", str(credentials))
        yield Release(folder, expectation(request.param), way)
    shutil.rmtree(folder)


@pytest.mark.integration
class TestARelease:
    """In any order: each leaves what the release has stored as it was."""

    def test_every_backup_is_listed_and_proven_as_it_was(self, release):
        listed = {one["label"]: one for one in release.run("list")["targets"]["calibrify"]["backups"]}

        assert listed.keys() >= {
            *release.expected["dumps"], *release.expected["bases"], *release.expected["trees"],
        }  # fmt: skip
        assert all(one["repositories"]["near"]["state"] == "proven" for one in listed.values()), listed

    @pytest.mark.timeout(300)
    def test_every_backup_is_restored_and_proven_again(self, release):
        before = release.read()
        for label in (*release.expected["dumps"], *release.expected["bases"], *release.expected["trees"]):
            [proof] = release.run("verify", "--label", label)["proofs"]
            assert proof["matched"], proof

        after = release.read()
        assert {key: after[key] for key in before} == before
        assert json.loads(after["repository.json"])["format"] == 1

    def test_holds_releases_evidence_and_legacy_proofs_count(self, release):
        holds = release.run("holds")["targets"]["calibrify"]
        assert [one["label"] for one in holds] == [release.expected["held"]]
        assert len(release.run("evidence", "list")["records"]) >= release.expected["evidence"]
        assert release.run("evidence", "verify")["targets"]["calibrify"]["sound"]

    def test_every_dump_comes_back_with_the_keys_and_postgresql_alone(
        self, release, new_database, postgres18
    ):
        for label, rows in release.expected["dumps"].items():
            opened = by_hand(release, label)
            database = new_database(postgres18)
            restore(database, opened)
            with database.connect() as session:
                assert [str(one) for one in session.execute(QUERY).fetchone()] == rows

    def test_a_dump_opens_with_the_escrow_key_alone(self, release):
        repository = release.folder / "repository"
        for label in release.expected["dumps"]:
            manifest = json.loads((repository / "calibrify/meta/manifests" / f"{label}.json").read_bytes())
            [key] = [one for one in manifest["keys"] if one.startswith("backstop-escrow/")]
            stored, plain = manifest["objects"][0], release.folder / f"by-escrow-{label}"
            subprocess.run(
                [
                    sys.executable, "-I", "-W", "ignore", ROOT / "docs/by-hand/decrypt_object_with_escrow.py",
                    release.folder / "escrow.pem", key.removeprefix("backstop-escrow/"),
                    repository / stored["key"], plain,
                ],
                input=b"for tests alone\n", check=True, capture_output=True, start_new_session=True,
            )  # fmt: skip
            assert hashlib.sha256(plain.read_bytes()).hexdigest() == stored["plain_sha256"]

    def test_every_file_comes_back_with_the_keys_and_the_published_script_alone(self, release):
        for label, files in release.expected["trees"].items():
            opened, out = by_hand(release, label), release.folder / f"files-{label}"
            subprocess.run(
                [sys.executable, "-I", ROOT / "docs" / "by-hand" / "unpack_tree.py", opened, out],
                check=True, capture_output=True,
            )  # fmt: skip
            assert hashes(out) == files

    def test_every_file_comes_back(self, release):
        for label, files in release.expected["trees"].items():
            out = release.folder / f"restored-{label}"
            release.run("restore-files", "--tree", "media", "--label", label, "--to", str(out), "--yes")
            assert hashes(out) == files

    def test_the_cluster_comes_back_up_to_the_last_row(self, release):
        found = release.run("restore-to-point-in-time", "--to", "latest", "--beside-only", "--yes")

        assert ledger(Path(found["recovered"]["data"])) == release.expected["ledger_at_the_end"]


def by_hand(release: Release, label: str) -> Path:
    """Decrypt each object of a backup as docs/format.md shows, without Backstop."""
    repository, into = release.folder / "repository", release.folder / f"by-hand-{label}"
    if into.exists():
        return into
    into.mkdir(mode=0o700)
    manifest = json.loads((repository / "calibrify" / "meta" / "manifests" / f"{label}.json").read_bytes())
    for stored in manifest["objects"]:
        plain = into / (
            f"{stored['name']}.tar" if stored["layout"] == "chunks" else stored["name"] or "packed.tar"
        )
        subprocess.run(
            [
                sys.executable, "-I", "-W", "ignore", ROOT / "docs" / "by-hand" / "decrypt_object.py",
                release.folder / "ring.json", repository / stored["key"], plain,
            ],
            check=True, capture_output=True,
        )  # fmt: skip
        assert hashlib.sha256(plain.read_bytes()).hexdigest() == stored["plain_sha256"]
        if stored["layout"] == "tar":
            with tarfile.open(plain) as archive:
                archive.extractall(into, filter="data")
    return into


def restore(database: ClusterConnection, dump: Path) -> None:
    subprocess.run(
        [
            pip_postgres_bin(18) / "pg_restore", "--no-owner", "--no-privileges", "--exit-on-error",
            "--host", database.host, "--port", str(database.port), "--username", database.user,
            "--dbname", database.dbname, dump,
        ],
        check=True, capture_output=True, env={"PATH": "/usr/bin:/bin", "PGPASSWORD": database.password or ""},
    )  # fmt: skip


def hashes(root: Path) -> dict[str, str]:
    """Of the files below the folder ``media``, wherever it lies in ``root``."""
    [media] = [one for one in root.rglob("media") if one.is_dir()]
    files = sorted(one for one in media.rglob("*") if one.is_file())
    return {str(one.relative_to(media)): hashlib.sha256(one.read_bytes()).hexdigest() for one in files}


def ledger(data: Path) -> int:
    """How many rows a recovered cluster's ledger has, read in single-user mode."""
    account = (
        ["setpriv", "--reuid", str(data.stat().st_uid), "--clear-groups", "--"] if os.geteuid() == 0 else []
    )
    done = subprocess.run(
        [*account, pip_postgres_bin(18) / "postgres", "--single", "-D", data, "postgres"],
        input="SELECT count(*) FROM public.ledger\n", capture_output=True, text=True, check=True,
    )  # fmt: skip
    return int(done.stdout.split('count = "')[1].split('"')[0])
