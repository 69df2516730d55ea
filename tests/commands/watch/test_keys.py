"""Keys that open what is stored: a key that is about to go is told while there is time.

KMS is moto's server, a MOCK: it knows the states of keys and their rotation. A KMS that refuses or is silent
is planted in the client.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from backstop.commands.watch.key_findings import judge_kms_rotation
from backstop.commands.watch.keys import ROTATE_AFTER, NewestBackup, WatchedKeys, look_at_keys
from backstop.commands.watch.part import EVERY
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.kms_status import KmsKeyStatus
from backstop.model.finding import Level
from backstop.model.observation import KeySeen
from tests.commands.test_kms import MockKms
from tests.protection import utc_now

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from backstop.commands.watch.part import Part

NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def kms() -> Iterator[MockKms]:
    mock = MockKms()
    yield mock
    mock.stop()


@pytest.fixture
def ring(tmp_path: Path) -> LocalKeyring:
    return LocalKeyring.create(tmp_path / "keys" / "keyring.json", NOW)


def look(
    keys: WatchedKeys,
    needed: Mapping[str, int] | None,
    *,
    now: datetime | None = None,
    newest: Sequence[NewestBackup] = (),
) -> Part:
    return look_at_keys(
        target="calibrify", keys=keys, needed=needed, clock=lambda: now or utc_now(), newest=newest
    )


def found(part: Part) -> dict[str, Level]:
    assert all(one.check == "key" for one in part.findings)
    return {one.subject: one.level for one in part.findings}


def seen(part: Part) -> dict[str, KeySeen]:
    return {one.key: one for one in part.seen}


def bare(arn: str) -> str:
    """The id, which is all that moto takes where a key is changed."""
    return arn.rpartition("/")[2]


def in_kms(kms: MockKms, *arns: str, **changes: Any) -> WatchedKeys:
    return WatchedKeys(**{"kms_keys": arns, "client_for": kms.clients, **changes})


# -- A key ring file -----------------------------------------------------------------------------------------


def test_a_ring_in_order_says_nothing_and_each_generation_is_seen(ring: LocalKeyring):
    (first,) = ring.key_ids
    (second,) = ring.add_generation(NOW + timedelta(days=80)).key_ids

    part = look(WatchedKeys(ring=ring.path), {first: 7}, now=NOW + timedelta(days=100))

    assert part.findings == ()
    assert part.unjudged == frozenset()
    assert seen(part)[first] == KeySeen(first, "usable", created_at=NOW, backups=7)
    newest = seen(part)[second]
    assert newest.rotation_due_at == NOW + timedelta(days=80) + ROTATE_AFTER
    assert newest.backups == 0


def test_a_ring_whose_newest_key_is_too_old_is_a_warning_until_it_has_a_new_one(ring: LocalKeyring):
    keys, later = WatchedKeys(ring=ring.path), NOW + timedelta(days=91)

    old = look(keys, {}, now=later)
    ring.add_generation(later)
    renewed = look(keys, {}, now=later)

    assert found(old) == {"rotation": Level.WARNING}
    assert "was due on 2027-02-21" in old.findings[0].sentence
    assert renewed.findings == ()


def test_a_copy_of_the_ring_that_is_older_than_its_newest_key_is_a_warning(ring: LocalKeyring):
    ring.add_generation(NOW + timedelta(days=10))

    part = look(WatchedKeys(ring=ring.path, escrow_copied_on=NOW.date()), {}, now=NOW + timedelta(days=11))

    assert found(part) == {"escrow": Level.WARNING}


def test_a_backup_wrapped_with_a_former_key_tells_of_a_machine_whose_copy_is_old(ring: LocalKeyring):
    (former,) = ring.key_ids
    rotated_at = NOW + timedelta(days=10)
    (newest,) = ring.add_generation(rotated_at).key_ids

    def judged(*keys: str, days: float) -> Part:
        backup = NewestBackup("20261205T010000Z-dump", rotated_at + timedelta(days=days), keys)
        return look(WatchedKeys(ring=ring.path), {}, newest=[backup], now=NOW + timedelta(days=20))

    assert found(judged(former, days=2)) == {"ring copies": Level.WARNING}
    assert "20261205T010000Z-dump is not wrapped with" in judged(former, days=2).findings[0].sentence
    assert found(judged(former, days=0.5)) == {}  # a day is given to copy it
    assert found(judged(former, newest, days=2)) == {}  # refers to packs of before


def test_a_generation_that_backups_need_and_the_ring_lacks_is_critical_and_counted(ring: LocalKeyring):
    lost = "backstop-local/20250101T000000Z-0badc0de"

    part = look(WatchedKeys(ring=ring.path), {lost: 12}, now=NOW)

    assert found(part) == {f"key {lost}": Level.CRITICAL}
    assert "12 backups need it" in part.findings[0].sentence
    assert seen(part)[lost].state == "missing"


@pytest.mark.parametrize("fault", ["removed", "readable to all", "damaged"])
def test_a_ring_that_cannot_be_used_is_critical_once_and_shows_nothing_of_it(ring: LocalKeyring, fault: str):
    (key,) = ring.key_ids
    content = ring.path.read_text()
    if fault == "removed":
        ring.path.unlink()
    elif fault == "readable to all":
        ring.path.chmod(0o644)
    else:
        ring.path.write_text(content[: len(content) // 2])

    part = look(WatchedKeys(ring=ring.path), {key: 3}, now=NOW)

    assert found(part) == {"key ring": Level.CRITICAL}
    assert seen(part)[key].state == "unknown"
    assert {("key", f"key {key}"), ("key", "rotation"), ("key", "escrow")} <= part.unjudged
    assert ring.generations[0].key.hex() not in str(part)


def test_a_ring_without_a_word_about_its_copy_is_critical_because_backups_are_refused(ring: LocalKeyring):
    part = look(WatchedKeys(ring=ring.path, escrow_said=False), {}, now=NOW)

    assert found(part) == {"escrow": Level.CRITICAL}


def test_an_offline_key_is_seen_and_its_public_half_must_be_there(ring: LocalKeyring, tmp_path: Path):
    part = look(
        WatchedKeys(ring=ring.path, escrow_key=tmp_path / "gone.pem"), {"backstop-escrow/0123": 4}, now=NOW
    )

    assert found(part) == {"escrow": Level.CRITICAL}
    assert seen(part)["backstop-escrow/0123"] == KeySeen("backstop-escrow/0123", "unknown", backups=4)


def test_without_manifests_no_key_is_judged(ring: LocalKeyring):
    part = look(WatchedKeys(ring=ring.path), None, now=NOW)

    assert ("key", EVERY) in part.unjudged
    assert part.unseen == ("which keys the stored backups need",)


# -- KMS -----------------------------------------------------------------------------------------------------


def test_a_key_in_kms_that_works_says_nothing(kms: MockKms):
    arn = kms.new_key()

    part = look(in_kms(kms, arn), {arn: 2})

    assert part.findings == ()
    assert seen(part)[arn].state == "usable"
    assert seen(part)[arn].backups == 2
    assert abs(seen(part)[arn].created_at - utc_now()) < timedelta(minutes=5)


def test_a_key_pending_deletion_is_critical_with_its_day_and_gone_once_that_is_cancelled(kms: MockKms):
    arn = kms.new_key()
    client = kms.clients("eu-central-1")
    client.schedule_key_deletion(KeyId=bare(arn), PendingWindowInDays=7)

    doomed = look(in_kms(kms, arn), {arn: 31})
    client.cancel_key_deletion(KeyId=bare(arn))
    disabled = look(in_kms(kms, arn), {arn: 31})
    client.enable_key(KeyId=bare(arn))
    mended = look(in_kms(kms, arn), {arn: 31})

    assert found(doomed) == {f"key {arn}": Level.CRITICAL}
    day = f"{utc_now() + timedelta(days=7):%Y-%m-%d}"
    assert f"is pending deletion (it goes on {day}), and 31 backups need it" in doomed.findings[0].sentence
    assert "cancel-key-deletion" in doomed.findings[0].next_step
    assert seen(doomed)[arn].state == "pending deletion"
    assert found(disabled) == {f"key {arn}": Level.CRITICAL}
    assert "is disabled" in disabled.findings[0].sentence
    assert mended.findings == ()


def test_an_old_key_that_only_stored_backups_need_is_looked_at_too(kms: MockKms):
    old, new = kms.new_key("eu-west-1"), kms.new_key()
    kms.clients("eu-west-1").disable_key(KeyId=bare(old))

    part = look(in_kms(kms, new), {old: 1})

    assert found(part) == {f"key {old}": Level.CRITICAL}
    assert "1 backup needs it" in part.findings[0].sentence


def test_a_key_that_kms_does_not_know_is_missing(kms: MockKms):
    arn = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000"

    part = look(in_kms(kms, arn), {})

    assert seen(part)[arn].state == "missing"
    assert "and new backups need it" in part.findings[0].sentence


def test_a_key_whose_state_says_nothing_is_not_taken_for_one_in_order(kms: MockKms, monkeypatch):
    arn = kms.new_key()
    client = kms.clients("eu-central-1")
    told = {"KeyMetadata": {"KeyState": "Unavailable", "CreationDate": NOW}}
    monkeypatch.setattr(client, "describe_key", lambda **_: told)

    part = look(in_kms(kms, arn, client_for=lambda _: client), {arn: 1})

    assert part.findings == ()
    assert seen(part)[arn].state == "unknown"
    assert {("key", f"key {arn}"), ("key", f"rotation of {arn}")} <= part.unjudged
    assert part.unseen == (f"how key {arn} is: KMS says neither that it works nor what is wrong with it",)


def test_a_key_that_does_not_rotate_is_a_warning_when_it_is_old_until_it_does(kms: MockKms):
    arn = kms.new_key()
    later = utc_now() + timedelta(days=91)

    still = look(in_kms(kms, arn), {}, now=later)
    kms.clients("eu-central-1").enable_key_rotation(KeyId=bare(arn), RotationPeriodInDays=90)
    rotating = look(in_kms(kms, arn), {}, now=later)

    assert found(still) == {f"rotation of {arn}": Level.WARNING}
    assert "--rotation-period-in-days 90" in still.findings[0].next_step
    assert rotating.findings == ()


@pytest.mark.parametrize(
    ("days", "said"), [(90, []), (365, ["key k rotates every 365 days; 90 were agreed"])]
)
def test_a_key_that_rotates_more_seldom_than_agreed_is_a_warning(days: int, said: list[str]):
    status = KmsKeyStatus("usable", NOW, rotates=True, period=timedelta(days=days))

    findings = judge_kms_rotation("calibrify", "k", status, now=NOW, rotate_after=ROTATE_AFTER)

    assert [one.sentence for one in findings] == said


def test_credentials_that_may_not_ask_leave_the_key_unknown_and_unjudged(kms: MockKms):
    arn = kms.new_key()
    clients = kms.refusing("DescribeKey", "AccessDeniedException")

    part = look(in_kms(kms, arn, client_for=clients), {arn: 1})

    assert part.findings == ()
    assert seen(part)[arn].state == "unknown"
    assert ("key", f"key {arn}") in part.unjudged
    assert "AccessDeniedException" in part.unseen[0]


def test_a_kms_that_is_silent_is_found_once_for_all_keys_of_its_region(kms: MockKms):
    arns = [kms.new_key(), kms.new_key()]
    clients = kms.refusing("DescribeKey", "ThrottlingException")

    part = look(in_kms(kms, *arns, client_for=clients), {})

    assert found(part) == {"key service eu-central-1": Level.WARNING}
    assert {("key", f"{what} {arn}") for what in ("key", "rotation of") for arn in arns} <= part.unjudged
