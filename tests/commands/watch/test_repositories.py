"""A watch tells of what a repository lacks or has lost; of one that is down it says just that."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from backstop.commands.watch.observe import observe_target
from backstop.commands.watch.sight import Look
from backstop.errors import SourceUnavailableError
from backstop.model.finding import Finding, Level, judged
from backstop.model.observation import WalSeen
from tests.observing import RHYTHM, only, short

if TYPE_CHECKING:
    from backstop.commands.watch.part import Part
    from backstop.commands.watch.sight import Sight


def test_an_object_that_was_deleted_is_a_warning_while_another_repository_has_it(world):
    world.dump(0)
    label = world.dump(1)
    key = world.objects_of(label)[0]
    body = world.storages["s3"].read(key)
    world.storages["s3"].delete(key)

    finding = only(world.watch())

    assert (finding.check, finding.subject, finding.level) == ("sync", "objects in s3", Level.WARNING)
    assert f"1 object of {label} in s3 is not as the manifest says: {key} is not there" in finding.sentence
    assert (
        "check-objects --heal --target calibrify --repository s3` takes them from local" in finding.next_step
    )
    assert world.previous.repository("s3").missing_objects == 1
    world.storages["s3"].upload(key, body)
    assert world.found() == []
    assert world.previous.repository("s3").missing_objects == 0


def test_an_object_that_was_truncated_is_critical_when_no_repository_has_it_whole(world):
    label = world.dump(0)
    key = world.objects_of(label)[1]
    whole = world.storages["s3"].read(key)
    world.storages["s3"].replace(key, whole[:-1])
    world.storages["local"].delete(key)

    observed = world.watch()

    assert {(one.subject, one.level) for one in observed.findings} == {
        ("objects in s3", Level.CRITICAL),
        ("objects in local", Level.CRITICAL),
    }
    assert f"{key} has 499 bytes instead of 500" in observed.findings[1].sentence
    world.storages["local"].upload(key, whole)
    assert world.found() == ["warning sync objects in s3"]
    world.storages["s3"].replace(key, whole)
    assert world.found() == []


def test_every_object_of_every_backup_is_looked_for_within_a_day(world):
    world.rhythm = timedelta(hours=2)
    labels = [world.dump(day) for day in range(12)]
    world.watch()
    for label in labels[:-1]:
        world.storages["s3"].delete(world.objects_of(label)[0])
    seen: set[str] = set()

    for _ in range(timedelta(days=1) // world.rhythm):
        world.now += world.rhythm
        world.watch()
        seen |= set(world.previous.repository("s3").damaged)

    assert seen == {label.text for label in labels[:-1]}
    assert set(world.previous.repository("s3").damaged) == seen, "what is damaged is looked at each time"


def test_a_watch_that_was_late_makes_up_for_the_turns_of_an_hour(world):
    labels = [world.dump(day) for day in range(12)]
    world.watch()
    for label in labels[:-1]:
        world.storages["s3"].delete(world.objects_of(label)[0])
    seen: set[str] = set()

    for _ in range(24):
        world.now += timedelta(hours=1)
        world.watch()
        seen |= set(world.previous.repository("s3").damaged)

    assert seen == {label.text for label in labels[:-1]}


def test_a_backup_that_reached_only_one_repository_is_a_warning_after_a_grace(world):
    world.dump(0)
    label = world.dump(1, into=["local"])
    world.now += timedelta(hours=1)
    assert world.found() == [], "the next sync brings it"

    world.now += timedelta(hours=2)
    finding = only(world.watch())

    assert (finding.check, finding.subject, finding.level) == ("sync", "backups in s3", Level.WARNING)
    assert finding.sentence == f"s3 lacks {label}, which local has"
    assert "sync-repositories --target calibrify" in finding.next_step


def test_a_repository_is_not_missed_what_its_own_retention_would_not_keep(world):
    from backstop.model.retention import apply_retention
    from backstop.model.retention_policy import RetentionPolicy

    def retention(name, candidates, now, seen):
        policy = RetentionPolicy(keep_for=timedelta(days=3 if name == "s3" else 30))
        return apply_retention(candidates, policies=lambda label: policy, now=now, seen=seen)

    from dataclasses import replace

    world.settings["sync"] = replace(world.target().settings.sync, retention=retention)
    old = world.dump(0, into=["local"])
    for day in range(1, 9):
        world.dump(day)
    world.now += timedelta(hours=3)
    assert world.found() == [], f"{old} is older than s3 keeps anything"

    young = world.dump(9, into=["local"])
    world.now += timedelta(hours=3)
    assert str(young) in only(world.watch()).sentence


def test_a_manifest_without_a_signature_is_critical_and_no_backup(world):
    label = world.dump(0)
    key = world.manifest_key(label)
    signed = world.storages["s3"].read(key)
    world.now += timedelta(minutes=1)
    world.storages["s3"].replace(key, json.dumps({**json.loads(signed), "signature": None}).encode())

    finding = only(world.watch())

    assert (finding.check, finding.subject, finding.level) == (
        "sync",
        "unreadable manifests in s3",
        Level.CRITICAL,
    )
    assert str(label) in finding.sentence
    assert world.previous.component("dump").newest.repositories == ("local",)
    world.storages["s3"].replace(key, signed)
    assert world.found() == []


def test_a_repository_that_is_down_is_one_finding_and_nothing_of_it_is_judged(world):
    for day in range(3):
        world.dump(day)
    assert world.found() == []
    world.storages["s3"].down = True
    world.dump(3, into=["local"])
    world.now += timedelta(hours=5)

    observed = world.watch()

    finding = only(observed)
    assert (finding.check, finding.subject, finding.level) == ("repository", "repository s3", Level.WARNING)
    for check, subject in (
        ("sync", "objects in s3"),
        ("sync", "manifests in s3"),
        ("sync", "backups in s3"),
        ("proven", "dump in s3"),
        ("wal-gap", "WAL in s3"),
    ):
        stale = Finding("calibrify", check, subject, Level.WARNING, "stale", "nothing")
        assert not judged(stale, observed.unjudged), (check, subject)
    known = Finding("calibrify", "completed", "dump", Level.CRITICAL, "late", "look")
    assert judged(known, observed.unjudged), "what is in local is there"
    s3 = observed.observation.repository("s3")
    assert (s3.reachable, s3.backups) == (False, 3), "as it was seen last"
    assert any("s3" in sentence for sentence in observed.observation.unseen)

    world.storages["s3"].down = False
    assert world.found() == ["warning sync backups in s3"]


def test_a_backup_that_only_an_absent_repository_may_have_is_neither_late_nor_in_order(world):
    world.dump(0)
    assert world.found() == []
    world.storages["s3"].down = True
    world.at(1, 5)

    observed = world.watch()

    assert only(observed).check == "repository"
    assert ("completed", "dump") in observed.unjudged
    assert observed.observation.component("dump").on_time, "as it was before"


def test_an_absent_repository_excuses_a_missing_backup_for_half_a_day_and_not_for_a_week(world):
    from dataclasses import replace

    from tests.observing import DUMP

    world.kinds = (replace(DUMP, rpo=timedelta(hours=25)),)
    world.dump(0)
    assert world.found() == []
    world.storages["s3"].down = True
    world.at(1, 12)
    assert world.found() == ["warning repository repository s3"]
    world.at(1, 16)

    found = {one.check: one for one in world.watch().findings}

    assert found["completed"].level is Level.CRITICAL
    assert found["completed"].sentence.endswith("; s3 cannot be looked at")
    assert found["rpo"].level is Level.CRITICAL
    assert not world.previous.component("dump").on_time


def test_all_repositories_down_is_critical(world):
    world.dump(0)
    for storage in world.storages.values():
        storage.down = True

    observed = world.watch()

    assert [(one.check, one.level) for one in observed.findings] == [("repository", Level.CRITICAL)] * 2
    assert ("completed", "dump") in observed.unjudged


def test_what_did_not_answer_for_one_target_is_not_asked_for_the_next(world):
    world.dump(0)
    world.storages["s3"].down = True
    first, second = world.target(), world.target()
    object.__setattr__(second, "outages", first.outages)
    from backstop.commands.watch.reach import probe

    probe(first)
    world.storages["s3"].down = False

    down, _ = probe(second)
    assert list(down) == ["s3"]


def test_a_part_that_fails_is_a_finding_and_its_checks_are_not_judged(world, monkeypatch):
    world.dump(0)
    monkeypatch.setattr("backstop.commands.watch.observe.look_at_wal", lambda sight: 1 / 0)

    observed = world.watch()

    assert [short(one) for one in observed.findings] == ["warning watch WAL in the repositories"]
    assert ("wal-gap", "*") in observed.unjudged
    assert any(
        "WAL in the repositories of calibrify could not be looked at" in one
        for one in observed.observation.unseen
    )
    assert observed.observation.component("dump").backups == 1


def test_what_was_known_of_the_loss_gets_older_while_the_server_cannot_be_looked_at(world):
    def hangs(sight: Sight) -> Part:
        raise SourceUnavailableError("the server hangs", hint="wait")

    world.dump(0)
    seen = WalSeen(timeline=1, server_position="0/100", observed_rpo={"s3": timedelta(seconds=2)})
    before = replace(world.watch().observation, wal=seen)
    target = replace(world.target(), others=(Look("archiving", ("rpo", "slot"), hangs),))
    later = world.now + timedelta(minutes=5)

    observed = observe_target(target, inventory=None, clock=lambda: later, rhythm=RHYTHM, previous=before)

    assert observed.observation.wal.observed_rpo == {"s3": timedelta(minutes=5, seconds=2)}
    assert observed.observation.wal.server_position is None


@pytest.mark.integration
def test_a_manifest_that_vanished_is_critical_and_comes_back_with_a_sync(remembered):
    world = remembered
    label = world.dump(0)
    world.dump(1)
    assert world.found() == []
    body = world.storages["s3"].read(world.manifest_key(label))
    world.storages["s3"].delete(world.manifest_key(label))

    for _ in range(2):
        observed = world.watch()
        finding = only(observed)
        assert (finding.check, finding.subject, finding.level) == ("sync", "manifests in s3", Level.CRITICAL)
        assert finding.sentence == f"{label} has vanished from s3, and nothing expired it"
        assert "sync-repositories --target calibrify` brings it back from local" in finding.next_step
    world.now += timedelta(minutes=5)
    world.storages["s3"].put_once(world.manifest_key(label), body)
    assert world.found() == []


@pytest.mark.integration
def test_a_repository_that_was_emptied_is_one_finding_and_not_one_for_all_that_it_held(remembered):
    world = remembered
    for day in range(3):
        world.dump(day)
    world.watch()
    held = world.storages["s3"].snapshot()
    world.storages["s3"].restore({})

    finding = only(world.watch())

    assert (finding.check, finding.subject) == ("repository", "repository s3")
    assert "memory://s3 held backups, and has no repository.json any more" in finding.sentence
    world.storages["s3"].restore(held)
    assert world.found() == []


def test_a_repository_that_holds_none_any_more_is_not_said_to_hold_what_it_held(world):
    label = world.dump(0)
    world.watch()
    assert world.previous.repository("s3").backups == 1

    world.storages["s3"].delete(world.manifest_key(label))
    world.watch()

    assert world.previous.repository("s3").backups == 0


@pytest.mark.integration
def test_a_backup_that_expired_is_not_missed(remembered):
    world = remembered
    label = world.dump(0)
    world.dump(1)
    world.watch()
    repository = world.target().repositories[1]
    world.inventory.mark_expiring(repository, label, ["older than 30 days"])
    world.storages["s3"].delete(world.manifest_key(label))
    assert world.found() == []
    world.inventory.mark_expired(repository, label, world.now)

    world.now += timedelta(days=2)
    assert "manifests in s3" not in " ".join(world.found())


@pytest.mark.integration
def test_a_backup_that_expires_during_the_watch_is_not_missed(remembered, monkeypatch):
    world = remembered
    label = world.dump(0)
    world.dump(1)
    world.watch()
    repository = world.target().repositories[1]
    listing = type(world.storages["s3"]).list

    def while_it_looks(self, prefix):
        if self is world.storages["s3"] and prefix.endswith("/manifests/"):
            monkeypatch.undo()
            world.inventory.mark_expiring(repository, label, ["older than 30 days"])
            world.storages["s3"].delete(world.manifest_key(label))
            world.inventory.mark_expired(repository, label, world.now)
        return listing(self, prefix)

    monkeypatch.setattr(type(world.storages["s3"]), "list", while_it_looks)

    assert world.found() == []


@pytest.mark.integration
def test_the_inventory_learns_of_backups_and_proofs_that_others_made_and_they_are_read_once(
    remembered, query
):
    world = remembered
    labels = [world.dump(day, proven=day > 0) for day in range(3)]
    world.watch()

    rows = query("SELECT label, repository, status FROM backup_inventory ORDER BY label, repository")
    assert rows == [
        (label.text, name, "proven" if label is not labels[0] else "completed")
        for label in labels
        for name in ("local", "s3")
    ]
    world.prove(labels[0], "s3")
    world.watch()
    assert query("SELECT repository FROM backup_inventory WHERE status = 'completed'") == [("local",)]

    reads = _reads(world)
    world.watch()
    newest, turns = 2, 2
    assert _reads(world) - reads <= newest + turns + 2, "the newest, whose turn it is, and repository.json"


@pytest.mark.integration
def test_a_first_watch_that_is_given_up_has_got_on_by_what_it_had_read(remembered, query, monkeypatch):
    from backstop.commands.watch import shelf
    from backstop.repository.catalog import Catalog

    for day in range(5):
        remembered.dump(day)
    read, seen = Catalog.backup, []

    def given_up(catalog, label):
        seen.append(label)
        if len(seen) > 4:
            raise SystemExit
        return read(catalog, label)

    monkeypatch.setattr(shelf, "_KEPT_AT_A_TIME", 2)
    monkeypatch.setattr(Catalog, "backup", given_up)
    with pytest.raises(SystemExit):
        remembered.watch()

    assert query("SELECT count(*) FROM backup_inventory") == [(4,)]


def test_an_inventory_that_is_down_is_a_finding_and_the_repositories_are_judged_all_the_same(world):
    from backstop.postgres.connection import ClusterConnection
    from backstop.repository.inventory import Inventory

    world.dump(0)
    world.at(1, 5)
    nowhere = ClusterConnection(host="127.0.0.1", port=1, dbname="nothing", user="nobody")
    observed = observe_target(
        world.target(), inventory=Inventory(nowhere), clock=lambda: world.now, rhythm=RHYTHM
    )

    assert {(one.check, one.subject) for one in observed.findings} == {
        ("watch", "inventory"),
        ("completed", "dump"),
    }


@pytest.mark.integration
def test_an_inventory_that_lost_what_the_watch_before_saw_is_a_finding(remembered):
    world = remembered
    world.dump(0)
    world.watch()
    with world.inventory.connection.connect() as session:
        session.execute("ALTER TABLE public.backup_observation RENAME TO elsewhere")

    observed = observe_target(
        world.target(), inventory=world.inventory, clock=lambda: world.now, rhythm=RHYTHM
    )

    finding = only(observed)
    assert (finding.check, finding.subject) == ("watch", "inventory")
    assert "backup_observation" in finding.sentence


def _reads(world) -> int:
    return sum(storage.asked["read"] for storage in world.storages.values())


@pytest.mark.integration
def test_an_object_that_was_deleted_from_a_real_bucket_is_found(tmp_path, seaweedfs):
    from tests.making import Maker
    from tests.observing import World
    from tests.protection import s3_corner

    world = World(tmp_path)
    world.storages["s3"] = s3_corner(seaweedfs)
    world.makers["s3"] = Maker(world.storages["s3"], world.keyring, world.signer, world.trust, name="s3")
    label = world.dump(0)
    assert world.found() == []
    doomed, cut = world.objects_of(label)
    world.storages["s3"].delete(doomed)

    assert f"{doomed} is not there" in only(world.watch()).sentence
    world.storages["s3"].upload(doomed, world.storages["local"].read(doomed))
    world.storages["s3"].delete(cut)
    world.storages["s3"].upload(cut, b"short")
    assert f"{cut} has 5 bytes instead of 500" in only(world.watch()).sentence
