"""What a verb loads, which decides how long it takes to start."""

from __future__ import annotations

import subprocess
import sys

from tests.cli.installation import CHECKOUT

FIRST = "20261123T010000Z-dump"
HEAVY = ("airflow", "aws_encryption_sdk", "boto3", "botocore", "psycopg", "pydantic", "rich", "yaml")


def loaded_by(*argv: str, **environment: str) -> tuple[set[str], str]:
    """Which of the heavy packages a verb loads, in a process of its own, and what it prints.

    What is loaded decides how long a verb takes (benchmarks/cli.py has the seconds), and unlike seconds it
    is the same on a busy machine.
    """
    program = (
        "import sys\n"
        "from backstop.cli.main import main\n"
        "try:\n    code = main(sys.argv[1:])\n"
        "except SystemExit as ended:\n    code = ended.code\n"
        f"print(*(name for name in {HEAVY!r} if name in sys.modules))\n"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *argv],
        capture_output=True,
        text=True,
        check=True,
        cwd=CHECKOUT,
        env={"PYTHONPATH": "plugins", **environment},
    )
    *printed, loaded = done.stdout.split("\n")[:-1]
    return set(loaded.split()), "\n".join(printed)


def test_help_loads_nothing_heavy():
    loaded, printed = loaded_by("--help")

    assert loaded == set()
    assert printed.startswith("usage: python -m backstop")


def test_listing_from_a_directory_loads_no_cloud_no_database_and_no_airflow(installation, maker, verifier):
    near = maker()
    near.prove(near.publish(), signer=verifier)

    loaded, printed = loaded_by("list", BACKSTOP_TARGETS=str(installation / "targets.yaml"))

    # targets.yaml is read with these two.
    assert loaded == {"pydantic", "yaml"}
    assert FIRST in printed
