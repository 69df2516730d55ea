"""The main job from the command line alone: back up, prove, lose a table, restore, go back."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from psycopg import sql

from backstop.cli.main import main
from backstop.commands.evidence.record import record_evidence
from backstop.credentials import default_credentials
from backstop.model.access import AccessRole
from backstop.model.drill_document import drill_document, sign_off_document
from backstop.model.evidence import EvidenceKind
from backstop.settings.arguments import utc_now
from backstop.targets import load_targets
from backstop.wiring import open_every_repository, open_evidence_signer
from tests.evidenced import DRILL

pytestmark = pytest.mark.integration


@pytest.fixture
def folder():
    """Short, since PostgreSQL's sockets may lie below it."""
    path = Path(tempfile.mkdtemp(prefix="backstop-cli-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def source(database, postgres18):
    """A database with something in it; what a restore makes beside it is dropped at the end."""
    with database.connect() as session:
        session.execute("SET search_path TO public")
        session.execute("CREATE TABLE equipment (id int PRIMARY KEY, name text)")
        session.execute("INSERT INTO equipment SELECT n, 'scale ' || n FROM generate_series(1, 1000) n")
    yield database
    with postgres18.connect() as session:
        made = session.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [f"{database.dbname}_re"]
        ).fetchall()
        for (name,) in made:
            session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def run(source, folder, new_database, postgres18, monkeypatch, capsys):
    inventory = new_database(postgres18)
    targets = folder / "targets.yaml"
    targets.write_text(
        f"""\
version: 1
keys:
  lab: {{storage: local, path: {folder}/ring.json, signing: {folder}/signing, escrow: {{waived: test}}}}
repositories:
  near: {{type: posix, path: {folder}/near}}
  far: {{type: posix, path: {folder}/far}}
inventory: {{conn_id: inventory}}
targets:
  calibrify:
    keys: lab
    database:
      conn_id: source
      restore_conn_id: restorer
      dbname: {source.dbname}
      repositories: [near, far]
      spool: {folder}/spool
      verify:
        isolation: preferred
        queries: [{{sql: SELECT count(*) FROM equipment, expect: 1000}}]
      restore: {{allow_superuser: true}}
"""
    )
    credentials = folder / "connections.json"
    credentials.touch(mode=0o600)
    connections = {"source": source, "restorer": source, "inventory": inventory}
    credentials.write_text(
        json.dumps(
            {
                conn_id: {
                    "conn_type": "postgres",
                    "host": one.host,
                    "port": one.port,
                    "login": one.user,
                    "password": one.password,
                    "schema": one.dbname,
                }
                for conn_id, one in connections.items()
            }
        )
    )
    monkeypatch.setenv("BACKSTOP_TARGETS", str(targets))
    monkeypatch.setenv("BACKSTOP_CREDENTIALS", str(credentials))
    assert main(["init-keys"]) == 0
    assert main(["migrate-inventory"]) == 0
    capsys.readouterr()

    def run(*argv: str, code: int = 0):
        found = main([*argv, "--json"])
        out, err = capsys.readouterr()
        assert found == code, err
        assert source.password is None or source.password not in out + err
        return json.loads(out)

    return run


def rows(source) -> int | None:
    with source.connect() as session:
        if session.execute("SELECT to_regclass('public.equipment')").fetchone() == (None,):
            return None
        (count,) = session.execute("SELECT count(*) FROM public.equipment").fetchone()
        return count


def test_a_lost_table_comes_back_and_the_way_back_is_open(run, source, folder):
    report = run("back-up-database")
    assert report["repositories"] == {"near": "completed", "far": "completed"}
    assert report["rows"] == 1000
    assert report["delayed"] == []

    states = run("list", "--all")["targets"]["calibrify"]["backups"][0]["repositories"]
    assert {name: copy["state"] for name, copy in states.items()} == {"near": "completed", "far": "completed"}

    proofs = run("verify")["proofs"]
    assert {proof["repository"]: proof["matched"] for proof in proofs} == {"near": True, "far": True}
    states = run("list", "--all")["targets"]["calibrify"]["backups"][0]["repositories"]
    assert {name: copy["state"] for name, copy in states.items()} == {"near": "proven", "far": "proven"}

    records = run("evidence", "list")["records"]
    assert {(one["repository"], one["kind"], bool(one["report"])) for one in records} == {
        ("near", "proof", True),
        ("far", "proof", True),
    }
    assert run("evidence", "verify")["targets"]["calibrify"]["faults"] == []

    with source.connect() as session:
        session.execute("DROP TABLE public.equipment")
    plan = run("restore-database", "--label", "latest-proven", "--dry-run")["plan"]
    assert (plan["tables"], plan["rows"], plan["live_exists"]) == (1, 1000, True)
    assert rows(source) is None

    beside = run("restore-database", "--label", "latest", "--beside-only", "--yes")
    assert beside["swap"] is None
    assert rows(source) is None
    assert rows(source.with_database(beside["plan"]["beside"])) == 1000

    swapped = run("restore-database", "--label", "latest", "--swap", "--yes", "--from", "far")
    assert swapped["plan"]["repository"] == "far"
    assert rows(source) == 1000

    # Only what a swap has put aside can come back, not just any database.
    run("restore-database", "--swap-back", "postgres", "--yes", code=1)
    with source.connect() as session:
        session.execute("BEGIN")
        session.execute("SELECT pg_current_xact_id()")
        session.execute("PREPARE TRANSACTION 'in doubt'")
        run("restore-database", "--swap-back", "--yes", code=1)
        session.execute("ROLLBACK PREPARED 'in doubt'")
    assert rows(source) == 1000
    label = swapped["plan"]["label"]
    back = run("restore-database", "--swap-back", "--label", label, "--yes")
    assert rows(source) is None
    # What was committed since the swap is in there; to restore that backup once more must not drop it.
    assert back["swap"]["kept"].startswith(f"{source.dbname}_replaced_")

    rebuilt = run("rebuild-inventory")
    assert [(one["repository"], one["backups"], one["proofs"]) for one in rebuilt] == [
        ("near", 1, 1),
        ("far", 1, 1),
    ]
    # Whoever cuts the newest evidence off in both repositories is betrayed by the inventory.
    for path in folder.glob("*/calibrify/meta/evidence/*.json"):
        path.unlink()
    faults = run("evidence", "verify", code=4)["targets"]["calibrify"]["faults"]
    assert {(one["repository"], one["kind"], one["number"]) for one in faults} == {
        ("near", "missing", 1),
        ("far", "missing", 1),
    }
    assert [path.name for path in (folder / "spool").iterdir()] == []


def test_a_restore_asks_nobody_when_nobody_is_there(run, source, monkeypatch, capsys):
    run("back-up-database")
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)

    code = main(["restore-database", "--label", "latest", "--swap"])

    assert code == 2
    assert "nobody is at the terminal to confirm this" in capsys.readouterr().err
    with source.connect() as session:
        beside = session.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [f"{source.dbname}_"]
        ).fetchall()
    assert beside == []


def test_with_one_repository_gone_the_backup_is_complete_in_the_other_and_says_so(run, folder):
    (folder / "far").write_text("a file where the directory should be")

    report = run("back-up-database", code=6)

    assert report["repositories"]["near"] == "completed"
    assert report["repositories"]["far"] != "completed"
    assert report["complete"] is False


def test_an_inventory_that_is_gone_delays_bookkeeping_and_nothing_else(run, folder):
    connections = folder / "connections.json"
    raw = json.loads(connections.read_text())
    raw["inventory"]["port"] = 1
    raw["inventory"]["host"] = "127.0.0.1"
    connections.write_text(json.dumps(raw))

    report = run("back-up-database")

    assert report["complete"] is True
    assert len(report["delayed"]) == 2
    assert "the inventory does not know yet of" in report["delayed"][0]
    run("list")
    run("rebuild-inventory", code=5)


def test_a_dropped_inventory_is_rebuilt_row_for_row_and_a_restore_needs_none(run, folder, source, postgres18):
    raw = json.loads((folder / "connections.json").read_text())["inventory"]
    label = run("back-up-database")["label"]
    run("verify")
    run("hold", "--label", label, "--reason", "audit")
    run("hold", "--label", label, "--reason", "a mistake")
    run("release-hold", "--label", label, "--number", "2")
    rehearse()
    run("rebuild-inventory")
    before = everything(postgres18, raw["schema"])
    name = sql.Identifier(raw["schema"])
    with postgres18.connect() as session:
        session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))

    beside = run("restore-database", "--label", "latest-proven", "--beside-only", "--yes")
    assert rows(source.with_database(beside["plan"]["beside"])) == 1000
    with postgres18.connect() as session:
        session.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(name))
    rebuilt = run("rebuild-inventory")

    assert {one["repository"]: (one["backups"], one["proofs"], one["holds"]) for one in rebuilt} == {
        "near": (1, 1, 2), "far": (1, 1, 2),
    }  # fmt: skip
    assert everything(postgres18, raw["schema"]) == before
    assert [len(before[table]) for table in ("backup_inventory", "backup_proof", "backup_hold")] == [2, 2, 4]
    assert [row["accepted"] for (row,) in before["backup_drill"]] == [True]


def rehearse() -> None:
    """What a drill and its sign-off leave: evidence in every repository, and nothing yet in the inventory."""
    configuration, credentials = load_targets(), default_credentials(AccessRole.WRITER)
    repositories = open_every_repository(configuration, "calibrify", credentials)
    for kind, document in (
        (EvidenceKind.DRILL, drill_document(replace(DRILL, sign_off=None))),
        (EvidenceKind.SIGN_OFF, sign_off_document(DRILL.sign_off)),
    ):
        record_evidence(
            kind,
            DRILL.drill_id,
            document,
            repositories=repositories,
            signer=lambda: open_evidence_signer(configuration, "calibrify", credentials),
            happened_at=DRILL.ended_at,
            now=utc_now(),
        )


def everything(server, dbname: str) -> dict[str, list]:
    """Every row of the inventory but for what a rebuild numbers and dates anew."""
    with server.connect(dbname) as session:
        tables = [
            table
            for (table,) in session.execute(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
            ).fetchall()
        ]
        return {
            table: session.execute(
                sql.SQL(
                    "SELECT row FROM (SELECT to_jsonb(one) - 'id' - 'indexed_at' - 'applied_at' AS row "
                    "FROM public.{} AS one) AS rows ORDER BY row::text"
                ).format(sql.Identifier(table))
            ).fetchall()
            for table in tables
        }


def test_a_lost_table_comes_back_into_a_schema_of_its_own(run, source):
    label = run("back-up-database")["label"]
    with source.connect() as session:
        session.execute("DROP TABLE public.equipment")

    planned = run("rescue-tables", "--label", label, "equipment", "--into-schema", "before", "--dry-run")
    assert planned["plan"]["tables"] == {"public.equipment": "before.equipment"}
    rescued = run("rescue-tables", "--label", "latest", "equipment", "--into-schema", "before", "--yes")

    assert rescued["rows"] == {"before.equipment": 1000}
    assert rows(source) is None
    run("rescue-tables", "--label", label, "equipment", "--into-schema", "before", "--yes", code=1)
    missing = run("rescue-tables", "--label", label, "equipmnt", "--yes", code=3)
    assert missing["error"]["hint"] == "did you mean public.equipment?"
    # From a running server: here the live one itself, whose schema "before" has it now.
    again = run(
        "rescue-tables", "--clone", "source", "before.*", "--into-database", f"{source.dbname}_re", "--yes"
    )
    assert again["rows"] == {"before.equipment": 1000}


def test_a_server_that_is_set_otherwise_is_told_in_which_settings(run, folder):
    found = run("check-server", code=1)

    drift = {one["name"]: one for one in found["drift"]}
    assert drift["max_slot_wal_keep_size"]["found"] == "-1"
    assert "wal_level" not in drift
    own = folder / "own.conf"
    own.write_text("wal_level = replica\nmax_wal_senders = 2\n")
    assert run("check-server", "--conf", str(own)) == {
        "target": "calibrify", "conf": str(own), "in_step": True, "drift": [],
    }  # fmt: skip
