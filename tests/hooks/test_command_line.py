"""The command line as after the loss of Airflow: no Airflow, no inventory, credentials of its own."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest

from backstop.credentials import Credential
from backstop.errors import ConfigurationError, ToolError
from backstop.hooks import command_line
from backstop.hooks.command_line import (
    credentials_file,
    credentials_folder,
    forget_credentials,
    run_command_line,
)

S3 = Credential("s3", "aws", login="key", password="hunter2", extra={"region_name": "eu-central-1"})


class Connections:
    """Airflow's connections."""

    def get(self, conn_id):
        return S3


@pytest.fixture
def said(tmp_path, monkeypatch):
    """Runs this Python in the place of the command line; its standard error comes back in a list."""
    lines = []

    def run(code, **more):
        program = tmp_path / "python"
        program.write_text(f"#!{sys.executable}\nimport os, sys, json, stat\n{code}\n")
        program.chmod(0o700)
        monkeypatch.setattr(command_line.sys, "executable", str(program))
        return run_command_line(
            ["run-drill", "--target", "calibrify"],
            credentials=Connections(),
            conn_ids=["s3"],
            folder=tmp_path / "own",
            say=lines.append,
            **more,
        )

    run.lines = lines
    return run


TELL = """
file = os.environ["BACKSTOP_CREDENTIALS"]
print(json.dumps({
    "argv": sys.argv[1:], "environment": dict(os.environ), "file": file,
    "mode": stat.S_IMODE(os.stat(file).st_mode), "held": json.load(open(file)),
}))
"""


def test_it_is_given_its_connections_in_a_file_that_only_it_can_read_and_that_is_gone_afterwards(said):
    told = said(TELL)

    assert told["argv"] == ["-m", "backstop", "run-drill", "--target", "calibrify", "--json"]
    assert list(told["held"]) == ["s3"]
    assert told["held"]["s3"]["password"] == "hunter2"
    assert told["mode"] == stat.S_IRUSR | stat.S_IWUSR
    assert not Path(told["file"]).parent.exists()


def test_nothing_of_airflow_and_no_secret_is_in_its_environment_or_arguments(said, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_INVENTORY", "postgresql://owner:secret@db/inventory")
    monkeypatch.setenv("_AIRFLOW__AS_LIBRARY", "1")
    monkeypatch.setenv("BACKSTOP_TARGETS", "/etc/targets.yaml")

    told = said(TELL)

    assert not [name for name in told["environment"] if name.lstrip("_").startswith("AIRFLOW")]
    assert told["environment"]["BACKSTOP_TARGETS"] == "/etc/targets.yaml"
    assert "hunter2" not in json.dumps([told["argv"], told["environment"]])


def test_what_it_says_on_the_way_is_heard(said):
    said("print('restoring base', file=sys.stderr); print('{}')")

    assert "restoring base" in said.lines


def test_a_drill_that_did_not_pass_is_an_answer_too(said):
    assert said("print(json.dumps({'drill': {}})); sys.exit(1)") == {"drill": {}}


@pytest.mark.parametrize(
    "printed", ["print(json.dumps({'error': {'message': 'no'}}))", ""], ids=["as JSON too", "alone"]
)
def test_a_command_line_that_fails_says_why_and_leaves_no_credentials(said, tmp_path, printed):
    with pytest.raises(ToolError, match="no way leads there"):
        said(f"{printed}\nprint('no way leads there', file=sys.stderr); sys.exit(3)")
    assert not (tmp_path / "own").exists()


def test_a_command_line_that_prints_nothing_is_no_success(said):
    with pytest.raises(ToolError, match="printed no document"):
        said("")


def test_what_a_killed_task_left_can_be_removed_by_another():
    folder = credentials_folder("drill-20261126T120000Z-test")
    lasting = credentials_file(folder, [S3])
    file = lasting.__enter__()
    assert file.exists()

    forget_credentials(credentials_folder("drill-20261126T120000Z-test"))

    assert not folder.exists()
    forget_credentials(folder)


def test_what_a_killed_one_left_does_not_stop_the_next(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "connections.json").write_text("{}")

    with credentials_file(tmp_path / "own", [S3]) as file:
        assert "hunter2" in file.read_text()
    assert not (tmp_path / "own").exists()


def test_a_link_in_the_place_of_the_folder_is_never_followed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "own").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(FileExistsError), credentials_file(tmp_path / "own", [S3]):
        pass
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_connection_that_is_missing_is_named_before_anything_is_written(tmp_path):
    class Nothing:
        def get(self, conn_id):
            raise ConfigurationError(f"no connection {conn_id}", hint="create it")

    with pytest.raises(ConfigurationError, match="no connection s3"):
        run_command_line(
            ["run-drill"], credentials=Nothing(), conn_ids=["s3"], folder=tmp_path / "own", say=print
        )
    assert list(tmp_path.iterdir()) == []
