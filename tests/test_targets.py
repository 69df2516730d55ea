"""targets.yaml: what is accepted, and how mistakes are reported."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

from backstop.errors import ConfigurationError
from backstop.targets import find_mistakes, load_targets
from backstop.targets.durations import format_duration, parse_duration
from backstop.targets.schema import json_schema, schema_text

CHECKOUT = Path(__file__).parents[1]

VALID = """\
version: 1
keys:
  lab: {storage: local, path: /keys/ring.json, signing: /keys, escrow: {copied_to: safe, on: 2026-11-01}}
repositories:
  local: {type: posix, path: /backups}
  s3: {type: s3, bucket: lab-backups, endpoint_url: "http://127.0.0.1:8333"}
targets:
  calibrify:
    keys: lab
    database:
      conn_id: calibrify_backup
      dbname: calibrify
      repositories: [local, s3]
      retention: {local: 30d}
"""


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> Path:
        file = tmp_path / "targets.yaml"
        file.write_text(text, encoding="utf-8")
        return file

    return write


def mistakes_of(file: Path) -> list[str]:
    return [str(mistake) for mistake in find_mistakes(file)]


def only_mistake(file: Path) -> str:
    (mistake,) = mistakes_of(file)
    return mistake


def test_the_example_of_the_checkout_is_valid_and_says_what_the_procedures_ask_for():
    configuration = load_targets(CHECKOUT / "dags" / "targets.yaml")

    database = configuration.targets["calibrify"].database
    assert database.schedule == "0 1 * * *"
    assert database.retention == {"local": timedelta(days=30), "s3": timedelta(days=90)}
    assert database.objectives.rto == timedelta(hours=1)
    assert database.objectives.rpo == timedelta(minutes=5)
    assert [query.expect for query in database.verify.queries] == [True, True, True]
    assert configuration.repositories["s3"].bucket == "calibrify-backups"


@pytest.mark.parametrize("name", ["a,b", 'a"b', "a\\\\b"])
def test_a_path_that_postgresql_would_take_apart_is_refused(write, name):
    quoted = name.replace('"', '\\"')

    said = only_mistake(write(VALID.replace("path: /backups", f'path: "/backups/{quoted}"')))

    assert "expected a path without comma, double quote and backslash" in said


def test_what_is_left_out_has_the_documented_default(write):
    target = load_targets(write(VALID)).targets["calibrify"]

    assert target.name == "calibrify"
    assert target.database.snapshot_max == timedelta(hours=4)
    assert target.database.restore.four_eyes
    assert target.database.application.timeout == timedelta(seconds=60)
    assert target.database.schedule is None
    assert target.database.verify.isolation == "required"


def test_every_section_knows_its_own_name(write):
    configuration = load_targets(write(VALID))

    assert configuration.keys["lab"].name == "lab"
    assert configuration.repositories["s3"].name == "s3"


def test_the_day_of_the_escrow_copy_is_read_although_yaml_thinks_on_is_a_boolean(write):
    assert load_targets(write(VALID)).keys["lab"].escrow.on == date(2026, 11, 1)


def test_all_mistakes_are_reported_at_once_in_the_order_of_the_file(write):
    text = VALID.replace("version: 1", "version: 0").replace("dbname: calibrify", "dbname: 12")
    text = text.replace("keys: lab", "keys: lap").replace("30d", "30 days")

    assert mistakes_of(write(text)) == [
        "line 1, column 10: version: expected 1, found 0",
        "line 9, column 11: targets.calibrify.keys: there is no key ring 'lap'; did you mean 'lab'?",
        "line 12, column 15: targets.calibrify.database.dbname: expected text, found 12",
        "line 14, column 26: targets.calibrify.database.retention.local: "
        "expected a duration such as 30d, 4h, 1h30m or 90s, found '30 days'",
    ]


def test_the_error_names_file_line_and_column_of_each_mistake(write):
    file = write(VALID.replace("dbname: calibrify", "dbname: 12").replace("version: 1", "version: 0"))

    with pytest.raises(ConfigurationError) as caught:
        load_targets(file)

    assert f"2 mistakes in {file}\n  {file}:1:10: version:" in caught.value.message
    assert f"\n  {file}:12:15: targets.calibrify.database.dbname:" in caught.value.message


def test_a_misspelt_key_is_named_with_the_one_that_was_meant(write):
    found = only_mistake(write(VALID.replace("retention:", "retenton:")))

    assert (
        found
        == "line 14, column 7: targets.calibrify.database.retenton: unknown key; did you mean 'retention'?"
    )


def test_an_unknown_key_like_no_other_is_answered_with_the_known_ones(write):
    found = only_mistake(write(VALID.replace("type: posix,", "type: posix, zzz: 1,")))

    assert found.endswith("repositories.local.zzz: unknown key; known: mounted, path, type")


def test_a_missing_key_is_reported_where_its_section_begins(write):
    found = only_mistake(write(VALID.replace("      dbname: calibrify\n", "")))

    assert found == "line 10, column 5: targets.calibrify.database.dbname: is missing"


def test_the_same_key_twice_is_a_mistake_that_names_both_lines(write):
    found = only_mistake(write(VALID + "      dbname: other\n"))

    assert found.startswith(
        "line 15, column 7: targets.calibrify.database.dbname: is given twice, first in line 12"
    )


def test_a_merged_section_may_be_overridden_without_being_called_a_duplicate(write):
    text = VALID.replace("    database:\n", "    database: &base\n") + (
        "  other:\n    keys: lab\n    database:\n      <<: *base\n      dbname: other\n"
    )

    targets = load_targets(write(text)).targets

    assert targets["other"].database.dbname == "other"
    assert targets["other"].database.conn_id == "calibrify_backup"
    assert targets["calibrify"].database.dbname == "calibrify"


def test_a_mistake_in_a_merged_section_points_to_where_it_is_written(write):
    text = VALID.replace("    database:\n", "    database: &base\n").replace("[local, s3]", "[local, s4]") + (
        "  other:\n    keys: lab\n    database:\n      <<: *base\n"
    )

    assert [found.split(":")[0] for found in mistakes_of(write(text))] == ["line 13, column 29"] * 2


def test_a_value_that_contains_itself_is_a_mistake_and_no_endless_loop(write):
    assert "contains itself" in "\n".join(mistakes_of(write(VALID + "    tags: &t [*t]\n")))


@pytest.mark.parametrize(
    "key", ["password", "pasword", "secret_key", "aws_secret_access_key", "token", "api_token", "login"]
)
def test_a_secret_in_the_file_is_refused_without_being_repeated(write, key):
    found = only_mistake(write(VALID + f"      {key}: hunter2\n"))

    assert "conn_id" in found
    assert "hunter2" not in found


@pytest.mark.parametrize(
    ("place", "planted"),
    [
        ("conn_id: calibrify_backup", "conn_id: 'postgresql://me:hunter2@db/calibrify'"),
        ('"http://127.0.0.1:8333"', '"https://me:hunter2@s3.example.com"'),
        ("path: /backups", "path: 's3://me:hunter2@s3.example.com'"),
    ],
)
def test_a_url_with_credentials_is_refused_without_being_repeated(write, place, planted):
    assert "hunter2" not in only_mistake(write(VALID.replace(place, planted)))


@pytest.mark.parametrize("name", ["Calibrify", "a b", "../x", "-x", "a.b", "ü", "x" * 41, '""'])
def test_a_name_that_cannot_be_a_prefix_or_a_dag_id_is_refused(write, name):
    assert "expected a name of at most 40" in only_mistake(
        write(VALID.replace("  calibrify:\n", f"  {name}:\n"))
    )


@pytest.mark.parametrize(
    ("right", "wrong", "expected"),
    [
        ("[local, s3]", "[]", "expected at least one item, found a list"),
        ("[local, s3]", "[local, s3, s3]", "'s3' is listed twice"),
        ("{local: 30d}", "{local: 30d, tape: 1d}", "does not list; known: local, s3"),
        ("{local: 30d}", "{local: 0d}", "longer than zero"),
        ("{local: 30d}", "{local: 30}", "a number needs its unit"),
        ("dbname: calibrify", "dbname: calibrify\n      jobs: 0", "greater than or equal to 1"),
        ("dbname: calibrify", "dbname: calibrify\n      schedule: 0 1 * *", "five cron fields"),
        ("dbname: calibrify", "dbname: calibrify\n      schedule: 61 1 * * *", "five cron fields"),
        ("dbname: calibrify", "dbname: calibrify\n      schedule: 0 1 30 2 *", "a day that comes"),
        ("dbname: calibrify", "dbname: calibrify\n      schedule: H 1 30 H *", "a day that comes"),
        ("dbname: calibrify", "dbname: calibrify\n      fingerprint: ful", "expected 'full' or 'counts'"),
        (
            "dbname: calibrify",
            "dbname: calibrify\n      restore_conn_id: calibrify_backup",
            "another connection",
        ),
        (
            "dbname: calibrify",
            "dbname: calibrify\n      restore: {approval: maybe}",
            "expected true or false",
        ),
        ("dbname: calibrify", "dbname: calibrify\n      application: {stop: [systemctl]}", "expected a list"),
        ("dbname: calibrify", "dbname: calibrify\n      verify: {queries: [{sql: x}]}", "expect: is missing"),
        ("type: posix", "type: posixx", "expected posix or s3, found 'posixx'; did you mean 'posix'?"),
        ("type: posix, ", "", "repositories.local.type: is missing; expected posix or s3"),
        ("path: /backups", "path: backups", "expected an absolute path"),
        ("path: /backups", "path: /", "a directory of its own"),
        ("bucket: lab-backups", "bucket: Lab", "expected an S3 bucket name"),
        ("bucket: lab-backups", "bucket: lab-backups, prefix: /x/", "without '/' at its ends"),
        ("on: 2026-11-01", "on: soon", "expected a day such as 2026-11-01"),
        ("{copied_to: safe, on: 2026-11-01}", "{waived: ''}", "expected some text"),
        (
            "storage: local, path: /keys/ring.json",
            "storage: aws-kms, key_arn: alias/x",
            "an alias cannot be used",
        ),
        (
            "storage: local, path: /keys/ring.json",
            "storage: aws-kms, region: us-east-1, key_arn: 'arn:aws:kms:eu-central-1:123456789012:key/ab'",
            "expected the key's own region 'eu-central-1', found 'us-east-1'",
        ),
        ("{copied_to: safe, on: 2026-11-01}", "{public_key: here.pem}", "expected an absolute path"),
        ("  calibrify:\n", "  calibrify: !!python/name:os.system\n", "is not understood"),
        ("keys: lab", "keys: !vault lab", "the tag !vault is not understood"),
    ],
)
def test_each_mistake_says_what_was_expected(write, right, wrong, expected):
    assert VALID.count(right) >= 1
    assert expected in "\n".join(mistakes_of(write(VALID.replace(right, wrong, 1))))
    assert mistakes_of(write(VALID.replace(right, wrong, 1)))


def test_two_repositories_in_one_place_are_refused(write):
    found = only_mistake(
        write(VALID.replace("  s3: {", "  again: {type: posix, path: /backups/again}\n  s3: {"))
    )

    assert "repositories.again: lies in the same place as repositories.local" in found


def with_tree(tree: str) -> str:
    return VALID + f"    trees:\n      media: {tree}\n"


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ("{paths: [/srv], repositories: [locl]}", "there is no repository 'locl'; did you mean 'local'"),
        ("{paths: [/srv], repositories: [s3, s3]}", "'s3' is listed twice"),
        ("{paths: [/srv], repositories: [s3], retention: {local: 7d}}", "`repositories` does not list"),
        ("{paths: [/srv], retention: {lcal: 7d}}", "`repositories` does not list; did you mean 'local'"),
        ("{paths: [srv]}", "expected an absolute path"),
        ("{paths: [/srv, '/back*']}", "repositories.local lies in it"),
        ("{paths: [/backups], exclude: ['*.tmp', /backups/tmp]}", "repositories.local lies in it"),
    ],
)
def test_a_tree_is_held_against_what_it_refers_to(write, tree, expected):
    found = only_mistake(write(with_tree(tree)))

    assert "targets.calibrify.trees.media" in found
    assert expected in found


@pytest.mark.parametrize(
    "tree",
    [
        "{paths: [/srv], retention: {local: 7d, s3: 30d}}",
        "{paths: [/srv], repositories: [s3], retention: {s3: 30d}}",
        "{paths: ['/back*'], exclude: [/backups/**]}",
        "{paths: ['/back*'], exclude: [backups]}",
    ],
)
def test_a_tree_that_refers_to_what_there_is_has_no_mistake(write, tree):
    assert mistakes_of(write(with_tree(tree))) == []


@pytest.mark.parametrize("answer", ["true", "3", "2.5", "text", "null", "[]", "[[1, a], [2, null]]"])
def test_an_expected_answer_is_a_value_or_rows(write, answer):
    text = VALID + f"      verify: {{queries: [{{sql: SELECT 1, expect: {answer}}}]}}\n"

    assert mistakes_of(write(text)) == []


def test_an_expected_answer_keeps_its_type(write):
    text = (
        VALID
        + "      verify: {queries: [{sql: a, expect: 1}, {sql: b, expect: true}, {sql: c, expect: '1'}]}\n"
    )

    queries = load_targets(write(text)).targets["calibrify"].database.verify.queries

    assert [repr(query.expect) for query in queries] == ["1", "True", "'1'"]


@pytest.mark.parametrize(
    "text", ["a: [1, 2", "a: 'x", "a: b: c", "\tversion: 1", "a: *nobody", "--- 1\n--- 2\n", "a: \x01"]
)
def test_what_is_not_yaml_is_reported_with_its_line(write, text):
    assert re.match(r"line \d+, column \d+: not valid YAML: ", only_mistake(write(text)))


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "null"])
def test_an_empty_file_is_called_empty(write, text):
    assert "is empty" in only_mistake(write(text))


def test_a_missing_file_says_how_to_name_another(tmp_path, monkeypatch):
    monkeypatch.delenv("BACKSTOP_TARGETS", raising=False)

    with pytest.raises(ConfigurationError, match="set BACKSTOP_TARGETS to the path of yours"):
        load_targets(tmp_path / "absent.yaml")


def test_a_missing_file_that_the_environment_names_blames_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("BACKSTOP_TARGETS", str(tmp_path / "absent.yaml"))

    with pytest.raises(ConfigurationError, match="BACKSTOP_TARGETS names it"):
        load_targets()


def test_the_environment_chooses_the_file(write, monkeypatch):
    monkeypatch.setenv("BACKSTOP_TARGETS", str(write(VALID.replace("  calibrify:\n", "  elsewhere:\n"))))

    assert list(load_targets().targets) == ["elsewhere"]


def test_an_empty_directory_and_binary_garbage_are_refused_with_the_reason(tmp_path):
    garbage = tmp_path / "garbage.yaml"
    garbage.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(ConfigurationError, match=r"there is no .*backstop\.yaml"):
        load_targets(tmp_path)
    with pytest.raises(ConfigurationError, match="is not UTF-8 text"):
        load_targets(garbage)


def test_a_loaded_configuration_cannot_be_changed(write):
    target = load_targets(write(VALID)).targets["calibrify"]

    with pytest.raises(ValueError, match="frozen"):
        target.owner = "someone"


@pytest.mark.parametrize("text", ["30d", "4h", "1h30m", "90s", "2w", "1d12h", "5m"])
def test_a_duration_survives_being_written_and_read(text):
    duration = parse_duration(text)

    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize("text", ["365001d", "999999999d", "99999999999999999999d", f"{'9' * 5000}d"])
def test_a_duration_that_no_calendar_bears_is_refused(text):
    with pytest.raises(ValueError, match="not as long"):
        parse_duration(text)


def test_parsing_loads_no_package_that_a_dag_processor_has_not_loaded():
    code = (
        "import sys\n"
        "import backstop.targets as targets\n"
        "targets.load_targets()\n"
        "print(*({name.partition('.')[0] for name in sys.modules} & set(sys.argv)))"
    )
    heavy = ["airflow", "aws_encryption_sdk", "boto3", "cryptography", "psycopg", "rich", "zstandard"]
    done = subprocess.run(
        [sys.executable, "-c", code, *heavy],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": "plugins"},
        cwd=CHECKOUT,
    )

    assert done.stdout == "\n"


def test_reading_targets_loads_no_airflow_and_no_cloud_library():
    code = (
        "import sys, backstop.targets as t; t.load_targets(); "
        "print({'airflow', 'boto3', 'psycopg'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": "plugins"},
        cwd=CHECKOUT,
    )

    assert done.stdout.strip() == "set()"


def test_the_published_schema_is_the_one_the_models_give():
    published = (CHECKOUT / "docs" / "targets.schema.json").read_text(encoding="utf-8")

    assert published == schema_text(), (
        "run: python -m backstop check-targets --schema > docs/targets.schema.json"
    )


def test_every_key_of_the_schema_has_a_description_or_an_obvious_name():
    undescribed = {
        key
        for section in json_schema()["$defs"].values()
        for key, value in section.get("properties", {}).items()
        if "description" not in value
    }

    assert undescribed <= {
        "storage", "type", "bucket", "description", "tags", "sql", "objectives", "verify", "restore",
        "application", "stop", "start", "database", "dbname",
    }  # fmt: skip
