"""Probes: what answers as it should has passed; what does not is one failed line, and stops no other."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import TypeAdapter

from backstop.commands.probing import Surroundings, http, restored_environment, run_probe, run_probes
from backstop.model.measured import Outcome
from backstop.postgres.connection import ClusterConnection
from backstop.targets.probes import Probe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backstop.model.measured import CheckedItem

NOWHERE = Surroundings()


def probe(*, timeout: float | None = None, **raw: Any) -> Probe:
    """:param timeout: seconds; targets.yaml knows no less than one."""
    made: Probe = TypeAdapter(Probe).validate_python({"name": "it works", **raw})
    return made if timeout is None else made.model_copy(update={"timeout": timedelta(seconds=timeout)})


def asked(surroundings: Surroundings = NOWHERE, **raw: Any) -> CheckedItem:
    return run_probe(probe(**raw), item="functionality", surroundings=surroundings)


def everything(line: CheckedItem) -> str:
    return "\n".join([line.sentence, *line.details])


def test_a_command_that_exits_with_0_has_passed_and_is_timed():
    line = asked(command=["true"])

    assert (line.item, line.outcome) == ("functionality", Outcome.PASSED)
    assert line.sentence == "probe 'it works': true exited with 0"
    assert line.seconds is not None


def test_a_command_that_fails_is_told_with_its_last_lines():
    line = asked(command=["sh", "-c", "echo looking; echo no such table >&2; exit 3"])

    assert line.outcome is Outcome.FAILED
    assert line.sentence == "probe 'it works': sh exited with 3"
    assert line.details == ("looking", "no such table")


def test_a_command_that_is_not_there_is_a_failed_line():
    assert "/nowhere/probe cannot be run: No such file" in asked(command=["/nowhere/probe"]).sentence


def test_a_command_that_hangs_is_ended_when_its_time_is_over():
    line = asked(command=["sleep", "60"], timeout=0.2)

    assert line.outcome is Outcome.FAILED
    assert line.sentence == "probe 'it works': sleep did not end within 0.2 s"


def test_what_a_command_writes_is_shown_without_secrets():
    output = "postgresql://app:geheim@db/x password=hunter22 and the token s3cr3t-token"
    line = asked(
        Surroundings(secrets=("s3cr3t-token", "x")), command=["sh", "-c", f"echo '{output}'; exit 1"]
    )

    shown = everything(line)
    assert not any(secret in shown for secret in ("geheim", "hunter22", "s3cr3t-token"))
    # A secret of one letter would make the report unreadable.
    assert "/x" in shown


def test_a_secret_of_this_worker_is_not_shown_wherever_a_command_has_it_from(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("AIRFLOW_CONN_CALIBRIFY", "postgres://backup@db/x?sslkey=tr0ub4dor")
    (tmp_path / "leak").write_text("postgres://backup@db/x?sslkey=tr0ub4dor\n")

    assert asked(command=["sh", "-c", f"cat {tmp_path}/leak; exit 1"]).details == ("********",)


def test_a_secret_that_the_cut_of_a_long_output_halves_is_not_shown():
    script = "printf 'password=%0.s-' $(seq 1 40000); echo; echo the end; exit 1"

    assert asked(command=["bash", "-c", script]).details == ("the end",)


def test_a_command_is_led_to_what_was_restored_and_to_nothing_of_this_worker(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("PGPASSWORD", "live")
    monkeypatch.setenv("PGSERVICE", "live")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "ours")
    monkeypatch.setenv("BACKSTOP_CREDENTIALS", "/etc/backstop/credentials.json")
    monkeypatch.setenv("AIRFLOW_HOME", "/opt/airflow")
    monkeypatch.setenv("DATABASE_URL", "postgresql://db.live/calibrify")
    monkeypatch.setenv("CALIBRIFY_DB_HOST", "db.live")
    monkeypatch.setenv("QUEUE", "amqp://calibrify:hidden@queue.live/")
    monkeypatch.setenv("STRIPE_TOKEN", "of the live shop")
    monkeypatch.setenv("LANGUAGE", "de")
    database = ClusterConnection(host="/run/drill", port=5432, user="postgres", dbname="calibrify")
    environment = restored_environment(database, {"media": tmp_path, "config-2": Path("/r")})
    seen = tmp_path / "seen"

    asked(Surroundings(environment), command=["sh", "-c", f"env > {seen}"])

    found = dict(line.split("=", 1) for line in seen.read_text().splitlines())
    assert {name: value for name, value in found.items() if name.startswith("PG")} == {
        "PGHOST": "/run/drill",
        "PGPORT": "5432",
        "PGUSER": "postgres",
        "PGDATABASE": "calibrify",
        "PGPASSFILE": "/nonexistent/pgpass",
        "PGSERVICEFILE": "/nonexistent/pg_service.conf",
    }
    assert {name: value for name, value in found.items() if name.startswith("BACKSTOP_")} == {
        "BACKSTOP_TREE_MEDIA": str(tmp_path),
        "BACKSTOP_TREE_CONFIG_2": "/r",
    }
    assert not any(name.startswith(("AWS_", "AIRFLOW")) for name in found)
    assert not {"DATABASE_URL", "CALIBRIFY_DB_HOST", "QUEUE", "STRIPE_TOKEN"} & set(found)
    assert found["LANGUAGE"] == "de"
    assert "PATH" in found


def test_without_a_database_a_client_finds_none_instead_of_the_live_one():
    assert restored_environment(None, {})["PGHOST"] == "/nonexistent"


def test_sql_without_a_database_to_ask_is_not_done():
    line = asked(sql="SELECT 1", expect=1)

    assert line.outcome is Outcome.NOT_DONE
    assert "there is no database to ask" in line.sentence


@pytest.mark.integration
def test_sql_passes_by_its_answer_and_never_repeats_one(database: ClusterConnection):
    surroundings = Surroundings(database=lambda: database)

    assert asked(surroundings, sql="SELECT 41 + 1", expect=42).outcome is Outcome.PASSED
    wrong = asked(surroundings, sql="SELECT 'Erika Mustermann'", expect="Max")
    assert wrong.outcome is Outcome.FAILED
    assert wrong.sentence == "probe 'it works': the database did not give what is expected"


@pytest.mark.integration
@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT 'Erika'::integer", "InvalidTextRepresentation (SQLSTATE 22P02)"),
        ("DO $$BEGIN RAISE 'row of %', 'Erika'; END$$", "RaiseException (SQLSTATE P0001)"),
        ("SELECT FROM nowhere_to_be_found", 'relation "nowhere_to_be_found" does not exist'),
        ("CREATE TABLE made_by_a_probe ()", "cannot execute CREATE TABLE in a read-only transaction"),
        ("SELECT pg_sleep(30)", "canceling statement due to statement timeout"),
    ],
)
def test_sql_that_fails_says_why_without_a_row(database: ClusterConnection, sql: str, says: str):
    line = asked(
        Surroundings(database=lambda: database), sql=sql, expect=1, timeout=0.3 if "pg_sleep" in sql else 30
    )

    assert line.outcome is Outcome.FAILED
    assert says in line.sentence
    assert "Erika" not in everything(line)


def test_a_server_that_is_not_there_is_a_failed_line(tmp_path: Path):
    gone = ClusterConnection(host=str(tmp_path), port=5432, user="postgres", dbname="calibrify")

    line = asked(Surroundings(database=lambda: gone), sql="SELECT 1", expect=1)

    assert line.outcome is Outcome.FAILED
    assert "could not be asked" in line.sentence


@contextmanager
def pages(*answers: tuple[int, bytes]) -> Iterator[tuple[str, list[str]]]:
    """A server that gives these one after another, the last of them for ever; and what it was asked."""
    left, requests = list(answers), []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            status, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/health", requests
    finally:
        server.shutdown()
        server.server_close()


def test_a_page_is_asked_again_until_it_answers_as_it_should():
    with pages((503, b"starting"), (200, b"status: starting"), (200, b"status: ok")) as (url, requests):
        line = asked(url=url, contains="ok")

    assert line.outcome is Outcome.PASSED, line.sentence
    assert len(requests) == 3


@pytest.mark.parametrize(
    ("expected", "says"),
    [
        ({}, "it answered 500 instead of 200"),
        ({"status": 500, "contains": "welcome"}, "it does not contain 'welcome'"),
    ],
)
def test_a_page_that_never_answers_so_has_failed_when_its_time_is_over(
    expected: dict[str, Any], says: str, monkeypatch: pytest.MonkeyPatch
):
    passed = [0.0]

    def sleep(seconds: float) -> None:
        passed[0] += seconds

    monkeypatch.setattr(http, "time", SimpleNamespace(monotonic=lambda: passed[0], sleep=sleep))
    monkeypatch.setattr(http, "_PAUSE_SECONDS", 10.0)
    with pages((500, b"secret stack trace")) as (url, requests):
        line = asked(url=f"{url}?token=geheim", timeout=20, **expected)

    assert line.outcome is Outcome.FAILED
    assert line.sentence.endswith(f"/health did not answer as expected within 20 s: {says}")
    assert len(requests) == 2
    assert not any(secret in everything(line) for secret in ("geheim", "stack trace"))


def test_a_page_is_asked_itself_past_any_proxy_and_a_redirect_is_its_answer(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    with pages((302, b"")) as (url, requests):
        line = asked(url=url, status=302)

    assert line.outcome is Outcome.PASSED, line.sentence
    assert len(requests) == 1


def test_a_page_that_nobody_serves_has_failed():
    with pages((200, b"")) as (url, _):
        pass

    assert "Connection refused" in asked(url=url, timeout=0.1).sentence


def test_one_probe_that_fails_stops_no_other():
    probes = [probe(command=["false"]), probe(sql="SELECT 1", expect=1), probe(command=["true"])]

    lines = run_probes(probes, item="integrations", surroundings=NOWHERE)

    assert outcomes(lines) == ["failed", "not done", "passed"]


def outcomes(lines: Sequence[CheckedItem]) -> list[str]:
    return [line.outcome.value for line in lines]


def test_probes_have_time_limits_of_their_own():
    assert probe(command=["true"]).timeout == timedelta(seconds=30)
