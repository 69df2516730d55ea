"""``restore-database``: it must be told how far it goes. Real restores are in test_round_trip.py."""

from __future__ import annotations

import pytest


def test_a_restore_asks_nobody_when_nobody_is_there(run, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_LAB_BACKUP", "postgresql://me@127.0.0.1:1/calibrify")

    code, _, err = run("restore-database", "--label", "latest", "--swap")

    assert code != 0
    assert "Traceback" not in err


def test_a_restore_must_say_how_far_it_goes(run):
    with pytest.raises(SystemExit) as ended:
        run("restore-database", "--label", "latest")

    assert ended.value.code == 2
