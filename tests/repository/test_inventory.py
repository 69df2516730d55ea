"""The inventory: taken over from what is there, rebuilt from the repository, never in a backup's way."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, TrustedSigners, create_signing_keys
from backstop.errors import SourceUnavailableError
from backstop.postgres.connection import ClusterConnection
from backstop.repository.inventory import MIGRATIONS, Inventory
from backstop.sql import load_sql
from backstop.storage.memory import MemoryStorage
from tests.making import STARTED, Maker

pytestmark = pytest.mark.integration

# Word for word from the user's procedures.
THEIR_TABLE = """
CREATE TABLE backup_inventory (
    id SERIAL PRIMARY KEY,
    backup_type VARCHAR(50),
    filename VARCHAR(255),
    created_at TIMESTAMP,
    size_bytes BIGINT,
    checksum VARCHAR(64),
    status VARCHAR(20),
    location VARCHAR(255)
);
"""


@pytest.fixture
def signing(tmp_path):
    create_signing_keys(tmp_path / "signing")
    return tmp_path / "signing"


@pytest.fixture
def maker(tmp_path, signing):
    return Maker(
        MemoryStorage(),
        LocalKeyring.create(tmp_path / "keyring.json", STARTED),
        Signer.load(signing / "manifest.pem"),
        TrustedSigners.load(signing / "trusted.json"),
    )


@pytest.fixture
def verifier(signing):
    return Signer.load(signing / "proof.pem")


def statuses(query) -> list[tuple[str, str]]:
    return query("SELECT label, status FROM backup_inventory WHERE label IS NOT NULL ORDER BY label")


def test_migrating_twice_applies_each_migration_once(database):
    assert Inventory(database).migrate() == list(MIGRATIONS)
    assert Inventory(database).migrate() == []


def test_every_migration_can_be_run_again_by_hand(inventory, query):
    for name in MIGRATIONS:
        query(load_sql(f"inventory/migrations/{name}"))

    assert query("SELECT count(*) FROM backup_inventory") == [(0,)]


def test_the_users_own_table_is_taken_over_with_its_rows(database, query, maker):
    query(THEIR_TABLE)
    query(
        "INSERT INTO backup_inventory "
        "(backup_type, filename, created_at, size_bytes, checksum, status, location) "
        "VALUES ('full', 'full_20231201_010000.sql.gz', '2023-12-01 01:00', 7, 'abc', 'ok', '/var/backups')"
    )
    inventory = Inventory(database)

    inventory.migrate()
    maker.publish()
    inventory.index(maker.repository)

    theirs = "SELECT id, filename, size_bytes, status, label FROM backup_inventory ORDER BY id"
    assert query(theirs)[0] == (1, "full_20231201_010000.sql.gz", 7, "ok", None)
    assert len(query(theirs)) == 2


def test_the_columns_of_the_procedures_keep_their_names_and_types(database, query, inventory):
    columns = (
        "SELECT column_name, data_type, character_maximum_length FROM information_schema.columns "
        "WHERE table_name = 'backup_inventory' ORDER BY ordinal_position LIMIT 8"
    )
    ours = query(columns)
    query("DROP TABLE backup_inventory")
    query(THEIR_TABLE)

    assert ours == query(columns)


def test_a_backup_is_completed_until_a_restore_proved_it(inventory, query, maker, verifier):
    published = maker.publish()
    inventory.record(maker.repository, published, [])
    assert statuses(query) == [(published.manifest.label.text, "completed")]

    proof = maker.prove(published, signer=verifier)
    inventory.record(maker.repository, published, [proof])

    assert statuses(query) == [(published.manifest.label.text, "proven")]
    assert query("SELECT proven_at FROM backup_inventory") == [(proof.finished_at,)]


def test_a_later_failed_verification_takes_the_proof_away(inventory, query, maker, verifier):
    published = maker.publish()
    maker.prove(published, signer=verifier)
    maker.prove(published, signer=verifier, matched=False, minutes=20)

    inventory.index(maker.repository)

    assert statuses(query) == [(published.manifest.label.text, "failed")]
    assert query("SELECT proven_at FROM backup_inventory") == [(None,)]
    assert query("SELECT matched, cardinality(differences) FROM backup_proof ORDER BY finished_at") == [
        (True, 0), (False, 1),
    ]  # fmt: skip


def test_a_row_says_what_the_manifest_says(inventory, query, maker):
    published = maker.publish()
    manifest = published.manifest

    inventory.index(maker.repository)

    assert query(
        "SELECT backup_type, filename, created_at::text, size_bytes, plain_bytes, checksum, location, "
        "target, repository, kind, objects, server_version, finished_at, summary->>'rows' "
        "FROM backup_inventory"
    ) == [
        (
            "database dump", f"calibrify/meta/manifests/{manifest.label}.json", "2026-11-23 01:00:00",
            manifest.stored_bytes, manifest.plain_bytes, published.sha256, maker.storage.location,
            "calibrify", "local", "dump", 3, 180004, manifest.finished_at, "1000",
        )
    ]  # fmt: skip


def test_indexing_again_changes_nothing_and_uses_up_no_ids(inventory, query, maker, verifier):
    maker.prove(maker.publish(), signer=verifier)
    first = inventory.index(maker.repository)
    rows = query("SELECT id, label, status FROM backup_inventory")

    for _ in range(5):
        assert inventory.index(maker.repository) == first

    assert query("SELECT id, label, status FROM backup_inventory") == rows
    assert query("SELECT count(*) FROM backup_proof") == [(1,)]
    assert query("SELECT last_value FROM backup_inventory_id_seq") == [(1,)]


def test_a_lost_inventory_is_rebuilt_from_the_repository_alone(inventory, query, maker, verifier):
    for day in range(3):
        published = maker.publish(started_at=STARTED + timedelta(days=day))
        if day != 2:
            maker.prove(published, signer=verifier, matched=day == 0)
    inventory.index(maker.repository)
    before = statuses(query)
    query("DROP TABLE backup_inventory, backup_proof, backup_schema_migration")

    inventory.migrate()
    report = inventory.index(maker.repository)

    assert [status for _, status in before] == ["proven", "failed", "completed"]
    assert statuses(query) == before
    assert (report.backups, report.proofs) == (3, 2)


def test_a_backup_that_vanished_from_its_repository_is_called_missing(inventory, query, maker):
    kept, lost = maker.publish(), maker.publish(started_at=STARTED + timedelta(days=1))
    inventory.index(maker.repository)
    maker.storage.delete(f"calibrify/meta/manifests/{lost.manifest.label}.json")

    report = inventory.index(maker.repository)

    assert report.missing == (lost.manifest.label.text,)
    assert statuses(query) == [(kept.manifest.label.text, "completed"), (lost.manifest.label.text, "missing")]


def test_what_was_being_expired_is_called_expired_once_it_is_gone(inventory, query, maker):
    published = maker.publish()
    inventory.index(maker.repository)
    label = published.manifest.label.text
    maker.storage.put_once(f"calibrify/meta/expiring/{label}.json", b"{}")

    assert inventory.index(maker.repository).expired == ()
    assert statuses(query) == [(label, "expiring")]
    maker.storage.delete(f"calibrify/meta/manifests/{label}.json")

    assert inventory.index(maker.repository).expired == ()
    assert statuses(query) == [(label, "expiring")], "what it held is still being removed"
    maker.storage.delete(f"calibrify/meta/expiring/{label}.json")

    assert inventory.index(maker.repository).expired == (label,)
    assert query("SELECT status, expired_at IS NOT NULL FROM backup_inventory") == [("expired", True)]


def test_it_knows_what_was_expired_on_purpose_and_what_only_vanished(inventory, maker):
    _, expiring, gone, lost = (
        maker.publish(started_at=STARTED + timedelta(days=day)).manifest.label for day in range(4)
    )
    inventory.index(maker.repository)
    maker.storage.put_once(f"calibrify/meta/expiring/{expiring}.json", b"{}")
    inventory.mark_expired(maker.repository, gone, STARTED)
    for label in (gone, lost):
        maker.storage.delete(f"calibrify/meta/manifests/{label}.json")
    inventory.index(maker.repository)

    assert inventory.expired(maker.repository) == {expiring, gone}
    elsewhere = Maker(MemoryStorage(), maker.keyring, maker.signer, maker.trust, name="s3")
    assert inventory.expired(elsewhere.repository) == frozenset()


def test_what_expiry_has_let_live_after_all_is_no_longer_called_expiring(inventory, query, maker):
    label = maker.publish().manifest.label.text
    maker.storage.put_once(f"calibrify/meta/expiring/{label}.json", b"{}")
    inventory.index(maker.repository)
    query("UPDATE backup_inventory SET expiry_reasons = ARRAY['older than 30 days']")
    maker.storage.delete(f"calibrify/meta/expiring/{label}.json")

    inventory.index(maker.repository)

    assert query("SELECT status, expiry_reasons FROM backup_inventory") == [("completed", None)]


def test_one_repository_says_nothing_about_another(inventory, query, maker, tmp_path):
    published = maker.publish()
    inventory.index(maker.repository)
    other = Maker(MemoryStorage(), maker.keyring, maker.signer, maker.trust, name="s3")

    inventory.index(other.repository)

    assert statuses(query) == [(published.manifest.label.text, "completed")]


def test_a_location_longer_than_the_users_column_is_kept_whole_beside_it(inventory, query, maker):
    class Far(MemoryStorage):
        @property
        def location(self) -> str:
            return "s3://" + "x" * 300

    far = Maker(Far(), maker.keyring, maker.signer, maker.trust)
    far.publish()

    inventory.index(far.repository)

    assert query("SELECT length(location), length(repository_location) FROM backup_inventory") == [(255, 305)]


def test_an_inventory_that_does_not_answer_is_said_to_be_unavailable(maker):
    nowhere = ClusterConnection(host="127.0.0.1", port=1, user="x", dbname="inventory", password="hunter2")

    with pytest.raises(SourceUnavailableError, match=r"x@127\.0\.0\.1:1/inventory") as caught:
        Inventory(nowhere).record(maker.repository, maker.publish(), [])

    assert caught.value.retryable
    assert "hunter2" not in str(caught.value)
