"""How any verb says that it failed."""

from __future__ import annotations

import json

from tests.cli.installation import in_a_process


def test_an_unknown_target_is_answered_with_the_one_that_was_meant(run):
    code, _, err = run("list", "--target", "calibrfy")

    assert code == 3
    assert "there is no target 'calibrfy'" in err
    assert "did you mean 'calibrify'?" in err


def test_a_failure_with_json_is_json_too(run):
    code, out, err = run("show", "--label", "yesterday", "--json")

    assert json.loads(out)["error"]["exit_code"] == code == 2
    assert err.startswith("backstop: ")


def test_a_defect_is_one_line_unless_debugging(installation, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import backstop.targets.load as load\n"
        "def broken(*_): raise RuntimeError('planted')\n"
        "load.read_text = broken\n"
    )
    environment = {
        "BACKSTOP_TARGETS": str(installation / "targets.yaml"),
        "PYTHONPATH": f"{tmp_path}:plugins",
    }

    plain = in_a_process("list", **environment)
    debugging = in_a_process("list", **environment, BACKSTOP_DEBUG="1")

    assert plain.returncode == 1
    assert plain.stderr.splitlines()[0] == "backstop: unexpected RuntimeError: planted"
    assert "Traceback" not in plain.stderr
    assert "Traceback" in debugging.stderr
