from __future__ import annotations

import json

import pytest
from airflow.sdk._shared.secrets_masker import redact

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


def test_a_connection_that_only_a_secrets_backend_has_is_taken_from_there(monkeypatch):
    held = {"kept_in_a_vault": {"conn_type": "postgres", "host": "db9", "password": "out of the vault"}}
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", "tests.hooks.vault.Vault")
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND_KWARGS", json.dumps({"held": held}))

    credential = AirflowCredentials().get("kept_in_a_vault")

    assert (credential.host, credential.password) == ("db9", "out of the vault")
    with pytest.raises(ConfigurationError, match="no connection 'calibrify_backup'"):
        AirflowCredentials().get("calibrify_backup")


def test_airflow_masks_what_was_read_also_what_is_secret_among_the_extras(monkeypatch):
    extra = {"aws_session_token": "token-of-the-hour", "assume": {"password": "deep-in-there"}}
    monkeypatch.setenv(
        "AIRFLOW_CONN_MASKED",
        json.dumps({"conn_type": "aws", "login": "AKIA", "password": "the-secret-key", "extra": extra}),
    )

    AirflowCredentials().get("masked")

    said = redact("tried the-secret-key with token-of-the-hour and deep-in-there")
    assert said == "tried *** with *** and ***"
