from __future__ import annotations

import json

import pytest

import tests.airflow_home  # noqa: F401
from backstop.errors import ConfigurationError, NotFoundError
from backstop.hooks.credentials import AirflowCredentials
from backstop.hooks.target import TargetHook
from backstop.model.access import AccessRole


def test_an_airflow_connection_becomes_a_credential_that_does_not_print_its_secrets(monkeypatch):
    monkeypatch.setenv(
        "AIRFLOW_CONN_CALIBRIFY_BACKUP",
        json.dumps(
            {
                "conn_type": "postgres",
                "host": "db1",
                "port": 5433,
                "login": "backup",
                "password": "s3cret",
                "schema": "calibrify",
                "extra": {"sslmode": "verify-full", "token": "also-s3cret"},
            }
        ),
    )

    credential = AirflowCredentials().get("calibrify_backup")

    assert (credential.host, credential.port, credential.schema) == ("db1", 5433, "calibrify")
    assert (credential.login, credential.password) == ("backup", "s3cret")
    assert credential.extra["sslmode"] == "verify-full"
    assert "s3cret" not in repr(credential)


def test_a_missing_connection_is_named_with_the_place_to_create_it():
    with pytest.raises(ConfigurationError, match=r"no connection 'calibrify_backup'.*Admin > Connections"):
        AirflowCredentials().get("calibrify_backup")


def test_a_target_that_targets_yaml_does_not_have_is_refused_before_anything_is_opened(monkeypatch):
    monkeypatch.delenv("BACKSTOP_TARGETS", raising=False)

    with pytest.raises(NotFoundError, match=r"there is no target .*targets.yaml has: calibrify"):
        TargetHook("calibrify'; DROP TABLE users", AccessRole.RESTORER).repositories()
