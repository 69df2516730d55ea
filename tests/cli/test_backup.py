"""``back-up-database``: what keeps it from beginning. What it writes is in test_round_trip.py."""

from __future__ import annotations

import json


def test_a_backup_is_refused_until_the_key_ring_has_an_escrow_copy(run, installation, monkeypatch):
    targets = installation / "targets.yaml"
    targets.write_text(targets.read_text().replace(", escrow: {waived: test}", ""))
    monkeypatch.setenv("AIRFLOW_CONN_LAB_BACKUP", "postgresql://me:hunter2@127.0.0.1:1/calibrify")

    code, _, err = run("back-up-database")

    assert code == 1
    assert "exists on this machine alone" in err
    assert "escrow: {copied_to: …, on: …}" in err
    assert not (installation / "near").exists()


def test_missing_credentials_name_the_variable(run):
    code, _, err = run("back-up-database")

    assert code == 2
    assert "AIRFLOW_CONN_LAB_BACKUP is not set" in err


def test_a_server_that_does_not_answer_is_worth_another_try_and_shows_no_password(run, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_LAB_BACKUP", "postgresql://me:hunter2@127.0.0.1:1/calibrify")

    code, out, err = run("back-up-database", "--json")

    assert code == 5
    assert json.loads(out)["error"]["retryable"]
    assert "127.0.0.1:1" in err
    assert "hunter2" not in out + err
