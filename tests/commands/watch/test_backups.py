"""A watch tells of backups that are missing, too small, unproven, too old or too slow to restore."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from backstop.model.finding import Level
from tests.observing import DUMP, only


def test_nothing_is_said_of_a_target_that_is_in_order(world):
    for day in range(10):
        world.dump(day)

    observed = world.watch()

    assert observed.findings == ()
    assert observed.unjudged == frozenset()
    dump = observed.observation.component("dump")
    assert dump.on_time
    assert (dump.backups, dump.proven_backups) == (10, 10)
    assert dump.newest.repositories == dump.newest.proven_in == ("local", "s3")
    assert dump.loss == timedelta(minutes=10)
    assert observed.observation.unseen == ()


def test_a_backup_that_is_missing_is_critical_once_late_after_has_passed_and_gone_when_it_came(world):
    world.dump(0)
    world.at(1, 0.5)
    assert world.found() == []
    world.at(1, 1.9)
    assert world.found() == []
    assert not world.previous.component("dump").on_time

    world.at(1, 2.1)
    finding = only(world.watch())

    assert (finding.check, finding.subject, finding.level) == ("completed", "dump", Level.CRITICAL)
    assert "2026-01-06 01:00 UTC" in finding.sentence
    assert "back_up_database__calibrify" in finding.next_step
    world.dump(1)
    assert world.found() == []


def test_a_tree_that_is_missing_is_to_be_looked_for_in_its_own_dag(world):
    world.kinds = (replace(DUMP, kind="tree:media"),)
    world.at(0, 0.5)
    world.watch()
    world.at(0, 5.1)

    assert "run of back_up_files__calibrify__media, whether" in only(world.watch()).next_step


def test_a_first_backup_that_never_came_is_critical(world):
    world.at(0, 0.5)
    world.watch()
    world.at(0, 4.5)
    assert world.found() == [], "nobody knows yet how long it takes"

    world.at(0, 5.1)
    finding = only(world.watch())

    assert (finding.check, finding.subject, finding.level) == ("completed", "dump", Level.CRITICAL)
    assert "never" in finding.sentence
    world.dump(0)
    assert world.found() == []


def test_a_new_target_owes_nothing_for_the_time_before_it_was_watched(world):
    world.at(0, 20)
    world.previous = None
    assert world.found() == ["critical completed dump"], "nobody remembers anything: it is due"
    world.previous = replace(world.previous, first_observed_at=world.now, components=())

    assert world.found() == []


def test_a_backup_of_40_percent_of_the_size_is_a_warning_that_says_what_was_expected(world):
    for day in range(20):
        world.dump(day, size=1_000_000 + 1000 * day)
    assert world.found() == []

    label = world.dump(20, size=400_000)
    finding = only(world.watch())

    assert (finding.check, finding.subject, finding.level) == ("size", "dump", Level.WARNING)
    assert finding.sentence.startswith(f"{label} is 400 kB, 39 % of what was expected")
    assert "1.0 MB" in finding.sentence
    world.dump(21, size=1_021_000)
    assert world.found() == []


def test_growth_of_three_percent_a_day_is_quiet(world):
    for day in range(30):
        world.dump(day, size=round(500_000 * 1.03**day))
        if day > 6:
            assert world.found() == []


def test_a_backup_that_is_not_proven_in_time_is_a_warning_then_critical_then_gone(world):
    world.dump(0)
    label = world.dump(1, proven=False)
    assert world.found() == []
    world.dump(2)

    world.at(2, 1.5)
    finding = world.watch().findings[0]
    assert (finding.check, finding.subject, finding.level) == ("proven", "dump in local", Level.WARNING)
    assert str(label) in finding.sentence
    world.dump(3)
    world.dump(4)
    world.at(4, 1.5)
    assert world.found("proven") == ["critical proven dump in local", "critical proven dump in s3"]

    world.prove(label, "local")
    assert world.found("proven") == ["critical proven dump in s3"]
    world.prove(label, "s3")
    assert world.found() == []


def test_a_copy_that_a_sync_brought_late_is_given_time_from_when_it_came(world):
    label = world.dump(0, into=["local"])
    for day in range(1, 6):
        world.dump(day)
    for key, (body, _) in list(world.storages["local"]._objects.items()):
        if f"/{label}/" in key and "/proofs/" not in key:
            world.storages["s3"].upload(key, body)
    maker = world.makers["s3"]
    published = world.makers["local"].catalog.backup(label).manifest
    here = replace(published, repository_id=maker.catalog.repository_id())
    maker.catalog.publish(here, signer=world.signer, ensure_held=lambda: None)
    assert world.found() == []

    for day in (6, 7):
        world.dump(day)
    assert world.found() == ["warning proven dump in s3"]


def test_only_what_policy_wants_proven_is_missed(world):
    policies = world.target().settings.policies
    world.settings["policies"] = {name: replace(one, dumps="weekly") for name, one in policies.items()}
    world.dump(0)
    for day in range(1, 6):
        world.dump(day, proven=False)

    assert world.found() == []


def test_a_failed_verification_of_the_newest_backup_is_critical_and_of_an_older_one_a_warning(world):
    world.dump(0)
    label = world.dump(1, proven=False)
    world.prove(label, "local")
    world.prove(label, "s3", matched=False)

    finding = only(world.watch())
    assert (finding.check, finding.subject, finding.level) == ("proven", "failed dump in s3", Level.CRITICAL)
    assert "table public.equipment: 10 rows in the backup, 9 restored" in finding.sentence

    world.dump(2)
    assert world.found() == ["warning proven failed dump in s3"]
    world.prove(label, "s3")
    assert world.found() == []


def test_a_proof_that_cannot_be_believed_is_named_and_proves_nothing(world):
    label = world.dump(0)
    key = f"calibrify/meta/proofs/{label}/20260105T010500000000Z-{'0' * 16}.json"
    world.storages["s3"].put_once(key, b'{"label": "nonsense"}')

    observed = world.watch()

    assert [(one.check, one.subject, one.level) for one in observed.findings] == [
        ("proven", "proofs in s3", Level.WARNING)
    ]
    assert observed.observation.component("dump").proven.proven_in == ("local",)
    world.storages["s3"].delete(key)
    assert world.found() == []


def test_what_a_dump_alone_would_lose_is_held_against_the_objective(world):
    world.kinds = (replace(DUMP, rpo=timedelta(hours=24)),)
    world.dump(0)
    world.at(1, 1.05)
    assert world.found() == [], "the next one is due, and on its way"

    world.at(1, 2.5)
    assert world.found() == ["critical completed dump", "critical rpo dump"]
    assert world.previous.component("dump").loss == timedelta(hours=25.5)
    world.dump(1)
    assert world.found() == []


def test_a_schedule_that_cannot_meet_the_objective_is_a_warning_before_it_is_critical(world):
    world.kinds = (replace(DUMP, rpo=timedelta(hours=4)),)
    world.dump(0)
    assert world.found() == []
    world.at(0, 5.5)
    assert world.found() == ["warning rpo dump"]
    world.at(0, 6.5)
    assert world.found() == ["critical rpo dump"]


def test_a_dump_beside_wal_and_a_tree_backed_up_on_change_lose_nothing_by_being_old(world):
    objective = timedelta(hours=1)
    tree = replace(DUMP, kind="tree:media", schedules=(), rpo=objective, on_change=True)
    world.kinds = (replace(DUMP, rpo=objective, has_wal=True), tree)
    world.dump(0)
    world.at(0, 20)

    assert world.found("rpo") == []


def test_a_restore_that_may_take_too_long_is_a_warning_and_one_that_will_is_critical(world):
    for day in range(12):
        label = world.dump(day, proven=False)
        for name in world.names:
            world.prove(label, name, seconds=90 + 10 * (day % 3))
    assert world.found() == []

    forecast = world.previous.component("dump").forecast
    assert 90 <= forecast.median_seconds <= 110
    between = (forecast.median_seconds + forecast.high_seconds) / 2
    world.kinds = (replace(DUMP, rto=timedelta(seconds=between)),)
    assert world.found() == ["warning forecast dump"]
    world.kinds = (replace(DUMP, rto=timedelta(seconds=60)),)
    assert world.found() == ["critical forecast dump"]
    world.kinds = (replace(DUMP, rto=timedelta(minutes=10)),)
    assert world.found() == []


def test_a_clock_that_was_ahead_when_a_schedule_changed_excuses_nothing_afterwards(world):
    world.dump(0)
    world.watch()
    component = replace(world.previous.component("dump"), scheduled_since=world.now + timedelta(days=400))
    world.previous = replace(world.previous, components=(component,))
    world.at(1, 0.5)
    world.watch()
    world.at(1, 5)

    assert only(world.watch()).check == "completed"


def test_a_backup_that_is_dated_in_the_future_hides_nothing_of_the_others(world):
    world.kinds = (replace(DUMP, schedules=(), rpo=timedelta(hours=25)),)
    for day in range(8):
        world.dump(day, size=1_000_000)
    begun, world.begun = world.begun, world.begun + timedelta(days=400)
    world.dump(0, proven=False)
    world.begun = begun
    world.dump(8, size=400_000)
    world.at(10, 12)

    checks = {one.check for one in world.watch().findings}

    assert {"rpo", "size"} <= checks
    assert world.previous.component("dump").loss > timedelta(days=2)
    assert world.previous.component("dump").newest.label.startswith("20260113")
