"""From the scripts to Backstop on the command line: listed, proven, restored, retired."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import tarfile
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from psycopg import sql

from backstop.cli.main import main
from backstop.errors import NotFoundError
from tests.legacy_making import dumped, write_dump

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backstop.postgres.connection import ClusterConnection
    from embedded.postgres import EmbeddedPostgres

DAY = timedelta(days=1)


class Host:
    """Old files in two directories, targets.yaml, and the credentials of one server."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], source: Any = None) -> None:
        self.folder = folder
        self._capsys = capsys
        self.dumps, self.media = folder / "database", folder / "media"
        self.dumps.mkdir()
        self.media.mkdir()
        (folder / "targets.yaml").write_text(
            f"""\
version: 1
keys:
  lab: {{storage: local, path: {folder}/ring.json, signing: {folder}/signing, escrow: {{waived: test}}}}
repositories:
  near: {{type: posix, path: {folder}/near}}
targets:
  calibrify:
    keys: lab
    database:
      conn_id: source
      restore_conn_id: restorer
      dbname: {source.dbname if source else "calibrify"}
      repositories: [near]
      retention: {{near: {{keep_for: 30d, min_proven: 1}}}}
      spool: {folder}/spool
      verify:
        isolation: preferred
        queries: [{{sql: SELECT count(*) FROM equipment, expect: 100}}]
      restore: {{allow_superuser: true}}
    trees:
      media: {{paths: [/srv/media], retention: {{near: 7d}}}}
    legacy:
      timezone: Europe/Berlin
      database: {{places: {{near: {self.dumps}}}}}
      trees: {{media: {{places: {{near: {self.media}}}}}}}
"""
        )

    def run(self, *arguments: str) -> tuple[int, Any]:
        """Exit code, and what was printed: the document with ``--json``."""
        code = main([*arguments, "--targets", str(self.folder / "targets.yaml")])
        printed = self._capsys.readouterr().out
        return code, json.loads(printed) if "--json" in arguments else printed

    def archive(self, name: str, files: dict[str, bytes]) -> Path:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.GNU_FORMAT) as archive:
            for path, content in files.items():
                member = tarfile.TarInfo(path)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        path = self.media / name
        path.write_bytes(out.getvalue())
        return path


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, since PostgreSQL's sockets may lie below it."""
    path = Path(tempfile.mkdtemp(prefix="backstop-cli-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def host(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.delenv("BACKSTOP_CREDENTIALS", raising=False)
    made = Host(folder, capsys)
    assert made.run("init-keys")[0] == 0
    return made


@pytest.fixture
def with_database(
    folder: Path,
    database: ClusterConnection,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    postgres18: EmbeddedPostgres,
) -> Iterator[Host]:
    with database.connect() as session:
        session.execute("CREATE TABLE public.equipment AS SELECT n FROM generate_series(1, 100) n")
    credentials = folder / "connections.json"
    credentials.touch(mode=0o600)
    server = {"conn_type": "postgres", "host": database.host, "port": database.port, "login": database.user}
    server |= {"password": database.password, "schema": database.dbname}
    credentials.write_text(json.dumps({"source": server, "restorer": server}))
    monkeypatch.setenv("BACKSTOP_CREDENTIALS", str(credentials))
    made = Host(folder, capsys, database)
    assert made.run("init-keys")[0] == 0
    yield made
    with postgres18.connect() as session:
        names = session.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [f"{database.dbname}_"]
        ).fetchall()
        for (name,) in names:
            session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def test_old_archives_are_listed_proven_and_unpacked_elsewhere(host: Host):
    good = host.archive("media_20231029_023000.tar.gz", {"srv/media/a b.jpg": b"photo", "srv/media/c": b""})
    cut = host.archive("media_20231101_020000.tar.gz", {"srv/media/a b.jpg": b"photo"})
    cut.write_bytes(cut.read_bytes()[:-9])

    code, listed = host.run("legacy-backups")
    assert code == 0
    assert "2023-10-29 01:30:00Z or an hour before" in listed
    code, proofs = host.run("verify-legacy", "--json")
    assert code == 4
    assert {one["name"]: one["matched"] for one in proofs["proofs"]} == {good.name: True, cut.name: False}
    code, listed = host.run("legacy-backups", "--json")
    assert {one["name"]: one["state"] for one in listed["legacy"]} == {
        good.name: "proven",
        cut.name: "failed",
    }
    assert "nothing to prove" in host.run("verify-legacy")[1]
    code, recorded = host.run("evidence", "list", "--json")
    assert {(one["kind"], one["subject"]) for one in recorded["records"]} == {
        ("proof", good.name),
        ("proof", cut.name),
    }
    assert host.run("evidence", "verify")[0] == 0

    into = host.folder / "back"
    code, restored = host.run("restore-legacy", "--backup", good.name, "--into", str(into), "--json")
    assert (code, restored["files"]) == (0, 2)
    assert (into / "srv" / "media" / "a b.jpg").read_bytes() == b"photo"
    assert host.run("restore-legacy", "--backup", good.name, "--into", str(into))[0] == 1
    assert host.run("restore-legacy", "--backup", cut.name, "--dry-run")[0] == 4
    assert host.run("restore-legacy", "--backup", cut.name, "--into", f"{into}2")[0] == 4
    assert not Path(f"{into}2").exists()


def test_a_place_that_cannot_be_read_is_in_the_exit_code_and_in_what_is_said(host: Host):
    good = host.archive("media_20231029_023000.tar.gz", {"a": b"photo"})
    host.dumps.rmdir()

    assert host.run("verify-legacy")[0] == NotFoundError.exit_code
    code, said = host.run("verify-legacy")
    assert (code, said) == (3, f"nothing to prove where it could be read; not read: {host.dumps}\n")
    assert host.run("verify-legacy", "--backup", good.name)[0] == 0
    good.unlink()
    assert host.run("legacy-backups") == (3, "none where it could be read\n")


def test_other_content_behind_the_size_and_time_of_what_was_proven_is_not_restored(host: Host):
    path = host.archive("media_20231101_020000.tar.gz", {"srv/media/a.jpg": b"photo"})
    tar = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(tar, 0, mtime=0))
    before = path.stat()
    assert host.run("verify-legacy")[0] == 0

    path.write_bytes(gzip.compress(tar.replace(b"photo", b"prank"), 0, mtime=0))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert path.stat().st_size == before.st_size
    into = host.folder / "back"
    code, document = host.run("restore-legacy", "--backup", path.name, "--into", str(into), "--json")
    assert code == 4
    assert "is not the file that was proven on" in document["error"]["message"]
    assert not into.exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["restore-legacy", "--backup", "media_20231101_020000.tar.gz"], 2),
        (["restore-legacy", "--backup", "media_20231101_020000.tar.gz", "--swap"], 2),
        (["restore-legacy", "--backup", "media_20231101_020000.tar.gz", "--into-database", "x"], 2),
        (["restore-legacy", "--backup", "full_20231101_020000.sql.gz", "--into", "/x"], 2),
        (["restore-legacy", "--backup", "nothing.tar.gz", "--into", "/x"], 3),
        (["legacy-backups", "--from", "far"], 2),
    ],
)
def test_what_makes_no_sense_is_refused(host: Host, arguments: list[str], code: int):
    host.archive("media_20231101_020000.tar.gz", {})
    write_dump(host.dumps, b"").rename(host.dumps / "full_20231101_020000.sql.gz")

    assert host.run(*arguments)[0] == code


def test_a_target_without_such_a_section_says_so(host: Host):
    targets = host.folder / "targets.yaml"
    text = targets.read_text()
    targets.write_text(text[: text.index("    legacy:")])

    code, document = host.run("legacy-backups", "--json")

    assert code == 2
    assert "has no `legacy` section" in document["error"]["message"]


@pytest.mark.integration
def test_an_old_dump_is_proven_and_comes_back_beside_or_in_place(
    with_database: Host,
    database: ClusterConnection,
    postgres18: EmbeddedPostgres,
):
    host = with_database
    name = write_dump(host.dumps, dumped(postgres18, database), age=40 * DAY).name

    code, proofs = host.run("verify-legacy", "--backup", name, "--json")
    assert (code, proofs["proofs"][0]["differences"]) == (0, [])
    assert proofs["proofs"][0]["checks"]["rows"] == 100
    code, plan = host.run("restore-legacy", "--backup", name, "--dry-run", "--json")
    assert (code, plan["plan"]["rows"], plan["plan"]["live_exists"]) == (0, 100, True)

    beside = f"{database.dbname}_looked_at"
    code, _ = host.run("restore-legacy", "--backup", name, "--into-database", beside, "--yes")
    assert code == 0
    with database.with_database(beside).connect() as session:
        assert session.execute("SELECT count(*) FROM public.equipment").fetchone() == (100,)
    assert host.run("restore-legacy", "--backup", name, "--into-database", beside, "--yes")[0] == 1

    with database.connect() as session:
        session.execute("DROP TABLE public.equipment")
    code, report = host.run("restore-legacy", "--backup", name, "--swap", "--yes", "--json")
    assert code == 0
    with database.connect() as session:
        assert session.execute("SELECT count(*) FROM public.equipment").fetchone() == (100,)
    code, _ = host.run("restore-database", "--swap-back", report["swap"]["kept"], "--yes")
    assert code == 0
    with database.connect() as session:
        assert session.execute("SELECT to_regclass('public.equipment')").fetchone() == (None,)


@pytest.mark.integration
def test_old_dumps_go_once_new_backups_are_proven(
    with_database: Host, database: ClusterConnection, postgres18: EmbeddedPostgres
):
    host = with_database
    plain = dumped(postgres18, database)
    old = [write_dump(host.dumps, plain, age=days * DAY).name for days in (5, 40, 50, 60)]
    code, document = host.run("expire-legacy", "--yes", "--json")
    assert (code, document["removed"]) == (0, [])

    assert host.run("back-up-database")[0] == 0
    code, document = host.run("expire-legacy", "--yes", "--json")
    assert (code, document["removed"]) == (0, [])  # published, not proven
    assert host.run("verify")[0] == 0

    code, document = host.run("expire-legacy", "--dry-run", "--json")
    going = [one["name"] for one in document["decisions"] if not one["keep"]]
    assert (code, going) == (0, [old[-1]])
    assert len(list(host.dumps.iterdir())) == len(old)
    code, document = host.run("expire-legacy", "--yes", "--json")
    assert (code, len(document["removed"])) == (0, 1)
    assert sorted(path.name for path in host.dumps.iterdir()) == sorted(old[:-1])
    code, text = host.run("expire-legacy", "--yes")
    assert (code, "no proven new backup is left to take its place: 1 old ones went" in text) == (0, True)
