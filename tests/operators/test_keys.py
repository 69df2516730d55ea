"""The nightly check of keys: red at once when something does not open, and the inventory knows it."""

from __future__ import annotations

import json

import pytest
from airflow.sdk.exceptions import AirflowFailException

from backstop.hooks.target import TargetHook
from backstop.operators.keys import CheckKeysOperator
from backstop.repository.inventory import Inventory
from backstop.repository.key_canaries import KeyCanaries
from tests.making import Maker
from tests.operators.lab import context

pytestmark = pytest.mark.integration


@pytest.fixture
def inventory(database, lab, monkeypatch):
    made = Inventory(database)
    monkeypatch.setattr(TargetHook, "inventory", lambda hook: made)
    Maker.in_folder(lab.folder, "local").publish()
    return made


def check():
    return CheckKeysOperator(task_id="check", target="calibrify").execute(context())


def kept(inventory):
    return {
        one.repository: (one.opened, one.closed)
        for one in KeyCanaries(inventory.connection).newest("calibrify")
    }


def test_what_opens_is_counted_and_kept_of_each_repository_that_holds_anything(inventory):
    assert check() == {"opened": 1}
    assert kept(inventory) == {"local": (1, 0)}


def test_a_key_that_has_gone_fails_the_task_at_once_and_is_kept(inventory, lab):
    from backstop.crypto.keyring import LocalKeyring
    from backstop.settings.arguments import utc_now

    ring = lab.folder / "ring.json"
    ring.unlink()
    LocalKeyring.create(ring, utc_now())

    with pytest.raises(
        AirflowFailException, match="1 of 1 objects do not open, such as the only dump in local"
    ):
        check()
    assert kept(inventory) == {"local": (0, 1)}


def test_no_key_is_in_what_the_task_returns_or_keeps(inventory, lab):
    key = json.loads((lab.folder / "ring.json").read_text())["keys"][0]["key"]

    said = str(check()) + str(KeyCanaries(inventory.connection).newest("calibrify"))

    assert key not in said
