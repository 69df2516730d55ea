"""A hold keeps a backup until it is over or released by somebody we trust; doubt keeps it, too."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, TrustedSigners, create_signing_keys
from backstop.errors import BackupExpiringError, ConfigurationError, IntegrityError, NotFoundError
from backstop.model.backup import BackupLabel
from backstop.model.canonical import canonical_json
from backstop.model.hold import Release
from backstop.repository.holds import Holds, new_hold
from backstop.storage.memory import MemoryStorage
from tests.making import STARTED, Maker

NOW = STARTED + timedelta(hours=1)


@pytest.fixture(scope="module")
def signing(tmp_path_factory):
    folder = tmp_path_factory.mktemp("signing")
    create_signing_keys(folder)
    return folder


@pytest.fixture(scope="module")
def keyring(tmp_path_factory):
    return LocalKeyring.create(tmp_path_factory.mktemp("keys") / "keyring.json", STARTED)


@pytest.fixture
def verifier(signing):
    return Signer.load(signing / "proof.pem")


@pytest.fixture
def writer(signing):
    return Signer.load(signing / "manifest.pem")


@pytest.fixture
def maker(keyring, signing, writer):
    return Maker(MemoryStorage(), keyring, writer, TrustedSigners.load(signing / "trusted.json"))


@pytest.fixture
def label(maker) -> BackupLabel:
    return maker.publish().manifest.label


@pytest.fixture
def holds(maker) -> Holds:
    return Holds(maker.repository)


def place(holds: Holds, label: BackupLabel, *, until: datetime | None = None, reason: str = "audit"):
    return holds.place(label, reason=reason, who="ada", until=until, now=NOW)


def key(label: BackupLabel, name: str) -> str:
    return f"calibrify/meta/holds/{label}/{name}"


def test_a_backup_is_held_until_the_hold_is_over(holds, label):
    hold = place(holds, label, until=NOW + timedelta(days=1))

    assert holds.in_force(NOW) == {label: (hold,)}
    assert holds.in_force(NOW + timedelta(days=1)) == {}
    assert holds.of(label) == (hold,)


def test_a_released_hold_holds_nothing_and_stays_on_record(holds, label, verifier):
    hold = place(holds, label)

    holds.release(label, hold.number, who="bob", now=NOW, signer=verifier)

    assert holds.in_force(NOW) == {}
    [record] = holds.of(label)
    assert (record.reason, record.released_by, record.released_at) == ("audit", "bob", NOW)


def test_releasing_one_hold_leaves_the_others_in_force(holds, label, verifier):
    first, second = place(holds, label), place(holds, label, reason="court")

    holds.release(label, first.number, who="ada", now=NOW, signer=verifier)

    assert holds.in_force(NOW) == {label: (second,)}


def test_releasing_again_adds_nothing(holds, label, verifier, maker):
    hold = place(holds, label)
    holds.release(label, hold.number, who="ada", now=NOW, signer=verifier)
    known = sorted(info.key for info in maker.storage.list("calibrify/meta/holds/"))

    again = holds.release(label, hold.number, who="bob", now=NOW + timedelta(days=1), signer=verifier)

    assert again.released_by == "ada"
    assert sorted(info.key for info in maker.storage.list("calibrify/meta/holds/")) == known


def test_nothing_is_overwritten_by_a_hold_that_comes_at_the_same_time(holds, label, maker):
    place(holds, label, reason="first")
    listing = maker.storage.list

    # The other's document appears right after we have looked.
    maker.storage.list = lambda prefix: iter(())
    second = holds._put(label, new_hold_body(label, "second"))
    maker.storage.list = listing

    assert second == 2
    assert [hold.reason for hold in holds.of(label)] == ["first", "second"]


def test_a_hold_on_a_backup_that_is_not_there_is_refused(holds, maker):
    missing = BackupLabel("20200101T000000Z-dump")

    with pytest.raises(NotFoundError, match="nothing to hold"):
        place(holds, missing)

    assert list(maker.storage.list("calibrify/meta/holds/")) == []


def test_a_backup_whose_manifest_is_damaged_can_be_held(holds, maker):
    label = BackupLabel("20200101T000000Z-dump")
    maker.storage.put_once(f"calibrify/meta/manifests/{label}.json", b"?")

    place(holds, label)

    assert label in holds.in_force(NOW)


def test_a_hold_on_a_backup_whose_expiry_has_begun_is_placed_and_says_that_it_may_come_too_late(
    holds, label, maker
):
    maker.storage.put_once(f"calibrify/meta/expiring/{label}.json", b"{}")

    with pytest.raises(BackupExpiringError, match="had begun when the hold was placed"):
        place(holds, label)

    assert label in holds.in_force(NOW), "an expiry that was cut off finds it when it goes on"


def test_a_backup_that_is_half_removed_cannot_be_held(holds, label, maker):
    maker.storage.put_once(f"calibrify/meta/expiring/{label}.json", b"{}")
    maker.storage.delete(f"calibrify/meta/manifests/{label}.json")

    with pytest.raises(BackupExpiringError, match="is being removed"):
        place(holds, label)

    assert holds.in_force(NOW) == {}


def test_expiry_that_begins_while_a_hold_is_placed_is_seen_by_it(holds, label, maker):
    put_once = maker.storage.put_once

    def put_beside_expiry(name: str, body: bytes):
        if "/holds/" in name:
            put_once(f"calibrify/meta/expiring/{label}.json", b"{}")
        return put_once(name, body)

    maker.storage.put_once = put_beside_expiry
    with pytest.raises(BackupExpiringError):
        place(holds, label)

    assert label in holds.in_force(NOW), "the expiry has to see it"


def new_hold_body(label: BackupLabel, reason: str) -> bytes:
    return new_hold("calibrify", label, reason=reason, who="ada", until=None, now=NOW).to_json()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"?", b"[]", b"{}", b'{"type": "hold", "format": 9}', b"x" * 70_000, b"[" * 60_000,
        new_hold_body(BackupLabel("20261123T010000Z-dump"), "why").replace(b'"id":"', b'"id":NaN,"x":"'),
        b'{"format":1,"type":"release","label":"20261123T010000Z-dump","target":"calibrify","hold_sha256":[],'
        b'"who":"ada","released_at":"2026-11-23T01:00:00.000000Z","signature":null}',
    ],
    ids=["empty", "text", "list", "nothing", "newer", "long", "deep", "no number", "odd release"],
)  # fmt: skip
def test_a_damaged_hold_counts_as_one_in_force(holds, label, maker, body):
    maker.storage.put_once(key(label, "1.json"), body)

    [hold] = holds.in_force(NOW + timedelta(days=36500))[label]

    assert hold.damage
    assert "cannot be believed" in str(hold)


def test_a_hold_under_another_backups_name_holds_it_too(holds, label, maker):
    other = maker.publish(started_at=STARTED + timedelta(days=1)).manifest.label
    maker.storage.put_once(key(other, "1.json"), new_hold_body(label, "moved"))

    assert other in holds.in_force(NOW)


def test_a_damaged_hold_can_be_released(holds, label, maker, verifier):
    maker.storage.put_once(key(label, "1.json"), b"?")

    holds.release(label, 1, who="ada", now=NOW, signer=verifier)

    assert holds.in_force(NOW) == {}


def test_a_hold_that_was_changed_after_its_release_is_in_force_again(holds, label, maker, verifier):
    place(holds, label)
    holds.release(label, 1, who="ada", now=NOW, signer=verifier)
    maker.storage.delete(key(label, "1.json"))
    maker.storage.put_once(key(label, "1.json"), new_hold_body(label, "another"))

    assert label in holds.in_force(NOW)


def test_the_writers_key_releases_nothing(holds, label, maker, writer):
    hold = place(holds, label)

    with pytest.raises(IntegrityError, match="signs manifests only"):
        holds.release(label, hold.number, who="mallory", now=NOW, signer=writer)
    forged = writer.sign(
        Release(label=label, target="calibrify", hold_sha256=hold.sha256, who="mallory", released_at=NOW)
    )
    maker.storage.put_once(key(label, "2.json"), canonical_json(forged.to_dict()))

    [held] = holds.in_force(NOW)[label]
    assert "signs manifests only" in (held.damage or "")


@pytest.mark.parametrize("change", [{"signature": None}, {"who": "mallory"}, {"hold_sha256": "0" * 64}])
def test_a_release_that_was_made_up_or_changed_releases_nothing(holds, label, maker, verifier, change):
    hold = place(holds, label)
    release = verifier.sign(
        Release(label=label, target="calibrify", hold_sha256=hold.sha256, who="ada", released_at=NOW)
    )
    maker.storage.put_once(key(label, "2.json"), canonical_json({**release.to_dict(), **change}))

    assert any(one.sha256 == hold.sha256 for one in holds.in_force(NOW)[label])


def test_a_release_of_one_backup_releases_no_other(holds, label, maker, verifier):
    other = maker.publish(started_at=STARTED + timedelta(days=1)).manifest.label
    place(holds, label)
    place(holds, other)
    holds.release(label, 1, who="ada", now=NOW, signer=verifier)
    for number, body in enumerate(holds.documents(label), start=2):
        maker.storage.put_once(key(other, f"{number}.json"), body)

    # Its own, and the one that was moved there with its release.
    assert len(holds.in_force(NOW)[other]) == 2


def test_the_same_hold_lies_in_two_repositories_and_is_released_in_both(
    holds, label, maker, verifier, keyring
):
    second = Maker(MemoryStorage(), keyring, maker.signer, maker.trust, name="s3")
    second.publish()
    elsewhere = Holds(second.repository)
    place(elsewhere, label, reason="only there")
    document = new_hold("calibrify", label, reason="audit", who="ada", until=None, now=NOW)

    here, there = holds.add(document), elsewhere.add(document)

    assert here.sha256 == there.sha256
    assert (here.number, there.number) == (1, 2)
    elsewhere.release_same(label, here.sha256, who="ada", now=NOW, signer=verifier)
    assert [hold.reason for hold in elsewhere.in_force(NOW)[label]] == ["only there"]


def test_holds_and_releases_copied_from_another_repository_mean_the_same_there(
    holds, label, maker, verifier, keyring
):
    second = Maker(MemoryStorage(), keyring, maker.signer, maker.trust, name="s3")
    second.publish()
    elsewhere = Holds(second.repository)
    place(elsewhere, label, reason="only there")
    place(holds, label, reason="kept")
    place(holds, label, reason="released")
    holds.release(label, 2, who="ada", now=NOW, signer=verifier)

    first = [elsewhere.adopt(label, body) for body in holds.documents(label)]
    again = [elsewhere.adopt(label, body) for body in holds.documents(label)]

    assert (first, again) == ([True] * 3, [False] * 3)
    assert {hold.reason for hold in elsewhere.in_force(NOW)[label]} == {"only there", "kept"}


def test_holds_that_go_with_their_backup_while_we_look_are_none(holds, label, maker):
    place(holds, label)
    found = list(maker.storage.list("calibrify/meta/holds/"))
    maker.storage.delete(key(label, "1.json"))

    maker.storage.list = lambda prefix: iter(found)

    assert holds.in_force(NOW) == {}


def test_a_hold_on_what_cannot_be_a_backup_stops_whoever_asks(holds, maker):
    maker.storage.put_once("calibrify/meta/holds/by hand.json", b"please keep everything")

    with pytest.raises(IntegrityError, match="by hand"):
        holds.in_force(NOW)


@pytest.mark.parametrize(
    ("until", "says"),
    [(NOW, "over already"), (datetime(2030, 1, 1), "time zone")],  # noqa: DTZ001
    ids=["past", "no zone"],
)
def test_a_hold_that_would_hold_nothing_is_refused(holds, label, until, says):
    with pytest.raises(ConfigurationError, match=says):
        place(holds, label, until=until)
