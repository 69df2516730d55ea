"""Credentials: the forms that Airflow knows, and that no secret gets out."""

from __future__ import annotations

import json
import pickle
import traceback

import pytest

from backstop.credentials import (
    Credential,
    EnvironmentCredentials,
    FileCredentials,
    default_credentials,
    parse_credential,
    postgres_connection,
)
from backstop.errors import ConfigurationError
from backstop.model.access import AccessRole

SECRET = "hunter2/@:é"
URI = "postgresql://calibrify:hunter2%2F%40%3A%C3%A9@db.example.org:5433/cal%20ibrify?sslmode=verify-full"


@pytest.fixture
def write(tmp_path):
    def write(content: object, *, name: str = "connections.json", mode: int = 0o600):
        file = tmp_path / name
        file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        file.chmod(mode)
        return file

    return write


@pytest.mark.parametrize(
    "raw",
    [
        URI,
        {
            "conn_type": "postgres", "host": "db.example.org", "port": 5433, "login": "calibrify",
            "password": SECRET, "schema": "cal ibrify", "extra": {"sslmode": "verify-full"},
        },
        {
            "conn_type": "postgresql", "host": "db.example.org", "port": "5433", "login": "calibrify",
            "password": SECRET, "schema": "cal ibrify", "extra": '{"sslmode": "verify-full"}',
        },
    ],
    ids=["uri", "object", "extra as text"],
)  # fmt: skip
def test_a_uri_and_an_object_and_their_json_text_mean_the_same(raw, write):
    expected = Credential(
        conn_id="lab",
        conn_type="postgres",
        host="db.example.org",
        port=5433,
        login="calibrify",
        password=SECRET,
        schema="cal ibrify",
        extra={"sslmode": "verify-full"},
    )
    text = raw if isinstance(raw, str) else json.dumps(raw)

    assert parse_credential("lab", raw) == expected
    assert EnvironmentCredentials({"AIRFLOW_CONN_LAB": text}).get("lab") == expected
    assert FileCredentials(write({"lab": raw})).get("lab") == expected
    assert FileCredentials(write({"lab": [raw]})).get("lab") == expected


def test_a_uri_reads_as_airflow_reads_it():
    connection = pytest.importorskip("airflow.models.connection").Connection(uri=URI)

    ours = parse_credential("lab", URI)

    assert (ours.host, ours.port, ours.login, ours.password, ours.schema, ours.extra) == (
        connection.host, connection.port, connection.login, connection.password, connection.schema,
        connection.extra_dejson,
    )  # fmt: skip


def test_a_yaml_file_is_read_when_its_name_says_so(write):
    file = write("lab:\n  conn_type: aws\n  login: AKIA\n  password: hunter2\n", name="connections.yaml")

    assert FileCredentials(file).get("lab").login == "AKIA"


def test_a_socket_directory_keeps_its_slashes_and_its_case():
    credential = parse_credential("lab", "postgresql://me@%2Fvar%2FRun%2Fpg:5433/db")

    assert postgres_connection(credential).location == "me@/var/Run/pg:5433/db"


def test_an_ipv6_address_is_taken_out_of_its_brackets():
    assert parse_credential("lab", "postgresql://me@[::1]:5433/db").host == "::1"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620])
def test_a_file_that_others_can_read_or_change_is_refused(write, mode):
    with pytest.raises(ConfigurationError, match=rf"open to other users \(mode {mode:04o}\).*chmod 600"):
        FileCredentials(write({"lab": URI}, mode=mode)).get("lab")


def test_an_unknown_connection_is_answered_with_the_known_ones(write):
    with pytest.raises(ConfigurationError, match=r"has no connection 'lap'.*the file has: lab"):
        FileCredentials(write({"lab": URI})).get("lap")


def test_an_unset_variable_is_named_with_the_way_out():
    with pytest.raises(ConfigurationError, match=r"AIRFLOW_CONN_LAB is not set.*BACKSTOP_CREDENTIALS"):
        EnvironmentCredentials({}).get("lab")


def test_the_environment_chooses_between_file_and_variables(write, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_LAB", "postgresql://from-variable@h/db")
    monkeypatch.delenv("BACKSTOP_CREDENTIALS", raising=False)
    assert default_credentials(AccessRole.VERIFIER).get("lab").login == "from-variable"

    monkeypatch.setenv("BACKSTOP_CREDENTIALS", str(write({"lab": "postgresql://from-file@h/db"})))
    assert default_credentials(AccessRole.VERIFIER).get("lab").login == "from-file"


@pytest.mark.parametrize(
    "raw",
    [
        "hunter2",
        "postgresql://me:hunter2@host:port/db",
        "postgresql://me:hunter2@host:99999/db",
        "postgresql://me:hun[ter2@host/db",
        '{"password": "hunter2"',
        {"password": ["hunter2"]},
        {"host": "h", "password": "hunter2", "port": "x hunter2"},
        {"host": "h", "password": "hunter2", "extra": "hunter2"},
        ["hunter2", "hunter2"],
        17,
    ],
)
def test_a_malformed_connection_is_named_but_not_quoted(raw):
    with pytest.raises(ConfigurationError, match="connection 'lab'") as caught:
        parse_credential("lab", raw)

    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_a_malformed_file_is_named_but_not_quoted(write):
    text = json.dumps({"lab": "hunter2"})[:-1]
    for name in ("connections.json", "connections.yaml"):
        with pytest.raises(ConfigurationError, match="not a mapping of connection ids") as caught:
            FileCredentials(write(text, name=name)).get("lab")
        shown = "".join(traceback.format_exception(caught.value))
        assert "hunter2" not in shown


def test_nothing_secret_is_in_a_repr(write):
    raw = {"conn_type": "postgres", "host": "h", "login": "l", "password": "hunter2", "schema": "s"}
    credential = parse_credential("lab", {**raw, "extra": {"sslmode": "require", "x": "hunter2"}})
    file = FileCredentials(write({"lab": raw}))
    file.get("lab")
    environment = EnvironmentCredentials({"AIRFLOW_CONN_LAB": URI})

    for value in (credential, file, environment, postgres_connection(file.get("lab"))):
        assert "hunter2" not in f"{value!r} {value} {value!s:>10}"
    assert pickle.loads(pickle.dumps(credential)) == credential  # noqa: S301 our own bytes


def test_a_postgres_connection_takes_ssl_settings_and_the_targets_database():
    connection = postgres_connection(
        parse_credential("lab", f"{URI}&sslrootcert=/ca.pem&keepalives=1"), "other"
    )

    assert connection.dbname == "other"
    assert connection.sslmode == "verify-full"
    assert connection.options == {"sslrootcert": "/ca.pem"}
    assert connection.password == SECRET


@pytest.mark.parametrize(
    ("uri", "complaint"),
    [
        ("mysql://me@h/db", "is of type 'mysql', not postgres"),
        ("postgresql://me@/db", "has no host"),
        ("postgresql://h/db", "has no login"),
        ("postgresql://me@h", "has no database"),
        ("postgresql://me@h/db?sslpassword=hunter2", "does not understand: sslpassword"),
        ("postgresql://me@h/db?iam=true", "does not understand: iam"),
    ],
)
def test_what_cannot_become_a_postgres_connection_is_refused_with_the_reason(uri, complaint):
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        postgres_connection(parse_credential("lab", uri))

    assert "hunter2" not in str(caught.value)


def test_a_password_that_the_tools_could_not_be_given_is_refused_and_not_quoted():
    credential = parse_credential("c", {"host": "h", "login": "u", "password": "hunter2\n"})

    with pytest.raises(ConfigurationError, match="'c' has a password with a line break") as caught:
        postgres_connection(credential, "calibrify")

    assert "hunter2" not in str(caught.value)
