"""docs/inventory.md: every question on it can be asked, and every column is described."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, TrustedSigners, create_signing_keys
from backstop.repository.drills import store_drill
from backstop.repository.holds import Holds
from backstop.repository.inventory import Inventory
from backstop.settings.arguments import utc_now
from backstop.storage.memory import MemoryStorage
from tests.evidenced import DRILL
from tests.making import Maker

pytestmark = pytest.mark.integration

PAGE = Path(__file__).parents[2] / "docs" / "inventory.md"
TEXT = PAGE.read_text(encoding="utf-8")
QUESTIONS = re.findall(r"^([^\n]+\?)\n\n```sql\n(.*?)```", TEXT, flags=re.DOTALL | re.MULTILINE)
NOTHING_TO_FIND = ("Which backups does this key open",)
"""It asks for an example key."""


@pytest.fixture
def session(database, tmp_path):
    """An inventory of two repositories with something for every question."""
    create_signing_keys(tmp_path / "signing")
    keyring = LocalKeyring.create(tmp_path / "keyring.json", utc_now())
    signer = Signer.load(tmp_path / "signing" / "manifest.pem")
    verifier = Signer.load(tmp_path / "signing" / "proof.pem")
    trust = TrustedSigners.load(tmp_path / "signing" / "trusted.json")
    inventory = Inventory(database)
    inventory.migrate()
    for name in ("local", "s3"):
        maker = Maker(MemoryStorage(), keyring, signer, trust, name=name)
        for days in (9, 8, 7, 6, 5):
            published = maker.publish(started_at=utc_now().replace(microsecond=0) - timedelta(days=days))
            label = published.manifest.label
            if days in (9, 8):
                maker.prove(published, signer=verifier, matched=days == 9)
            if days in (7, 6):
                Holds(maker.repository).place(label, reason="audit", who="ada", until=None, now=utc_now())
            if days == 6:
                Holds(maker.repository).release(label, 1, who="bob", now=utc_now(), signer=verifier)
            if days == 5:
                maker.storage.put_once(f"calibrify/meta/expiring/{label}.json", b"{}")
        if name == "s3":
            maker.publish(started_at=utc_now().replace(microsecond=0) - timedelta(days=4))
        inventory.index(maker.repository)
        if name == "local":
            maker.storage.delete(f"calibrify/meta/manifests/{label}.json")
            maker.storage.delete(f"calibrify/meta/expiring/{label}.json")
            inventory.index(maker.repository)
    store_drill(inventory, replace(DRILL, ended_at=utc_now()))
    with database.connect() as session:
        session.execute("SET search_path TO public")
        yield session


def test_every_question_of_the_page_has_an_answer(session):
    assert len(QUESTIONS) > 8
    for question, query in QUESTIONS:
        rows = session.execute(query.encode()).fetchall()
        assert rows or question.startswith(NOTHING_TO_FIND), question


def test_every_column_of_every_table_is_described(session):
    columns = session.execute(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
    ).fetchall()

    assert {table for table, _ in columns} == {
        "backup_inventory", "backup_proof", "backup_hold", "backup_schema_migration",
        "backup_observation", "backup_finding", "backup_drill", "backup_incident", "evidence_head",
        "backup_observed_loss", "backup_decision", "key_canary",
    }  # fmt: skip
    for table, column in columns:
        assert f"`{table}`" in TEXT
        assert f"`{column}`" in TEXT, f"{table}.{column}"
