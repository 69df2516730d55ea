"""100,000 backups in one repository: an expiry is planned in bounded memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

ROOT = Path(__file__).resolve().parents[2]
BACKUPS = 100_000
MOST_MB = 500


def test_an_expiry_of_a_hundred_thousand_backups_is_planned_in_500_mb(tmp_path: Path) -> None:
    # A process of its own: what the other tests left in this one is not the plan's.
    argv = [sys.executable, "benchmarks/expiry.py", "--json", "--keep", str(tmp_path)]
    done = subprocess.run(
        [*argv, "--backups", str(BACKUPS)], cwd=ROOT, check=True, capture_output=True, text=True
    )

    figures = json.loads(done.stdout)

    assert figures["backups"] == BACKUPS
    assert figures["expire"] > BACKUPS // 2
    assert figures["peak_mb"] < MOST_MB
