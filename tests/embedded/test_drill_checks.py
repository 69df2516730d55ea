"""What the demo's drills ask of restored configuration finds what would keep Calibrify from starting."""

from __future__ import annotations

import pytest

from embedded.sample import write_config
from embedded.sample.check_config import main


@pytest.fixture
def config(tmp_path):
    write_config(tmp_path)
    return tmp_path / "opt" / "calibrify" / "config"


def test_the_sample_would_start(config, capsys):
    assert main(config) == 0
    assert "holds what Calibrify needs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("calibrify.yaml", "site: [", "expected"),
        ("calibrify.yaml", "site: https://calibrify.example\n", "says nothing of database"),
        ("calibrify.yaml", "", "says nothing of site"),
        ("logging.ini", "no section\n", "MissingSectionHeaderError"),
        ("secrets.env", "CALIBRIFY_SECRET_KEY\n", "line 1 sets nothing"),
    ],
)
def test_a_file_that_calibrify_could_not_read_is_named(config, capsys, name, text, said):
    (config / name).write_text(text)

    assert main(config) == 1
    assert said in capsys.readouterr().err


def test_secrets_that_others_can_read_are_no_restored_secrets(config, capsys):
    (config / "secrets.env").chmod(0o644)

    assert main(config) == 1
    assert "can be read by others" in capsys.readouterr().err


def test_a_file_that_is_missing_is_named(config, capsys):
    (config / "logging.ini").unlink()

    assert main(config) == 1
    assert "logging.ini" in capsys.readouterr().err
