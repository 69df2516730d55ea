"""A watch knows to which moments each repository can recover, and when WAL is missing, from names alone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backstop.model.finding import Level
from backstop.model.lsn import Lsn, WalSegment
from backstop.model.timeline import history_name
from tests.observing import BASE, DUMP, SEGMENT_BYTES, SYSTEM_ID, TARGET, World, only


@pytest.fixture
def world(tmp_path) -> World:
    """A base backup of the first Sunday in both repositories, and WAL from it on to segment 40."""
    world = World(tmp_path, kinds=(BASE,))
    world.at(6, 2)
    world.wal(range(1, 6))
    world.base(6, segment=5)
    world.wal(range(6, 41))
    world.now += timedelta(hours=1)
    return world


def lsn(number: int) -> str:
    return str(WalSegment(1, number, SEGMENT_BYTES).start)


def windows(world: World, name: str = "s3") -> list[tuple[str, str, bool, bool]]:
    return [
        (one.begin_lsn, one.end_lsn, one.newest, one.gap)
        for one in world.previous.windows
        if one.repository == name
    ]


def test_a_window_reaches_from_the_base_backup_to_the_newest_segment(world):
    assert world.found() == []

    assert (
        windows(world, "local")
        == windows(world)
        == [(str(Lsn(5 * SEGMENT_BYTES + 4096)), lsn(41), True, False)]
    )
    window = world.previous.windows[0]
    assert window.bases == ("20260111T030000Z-full",)
    assert window.begins_at == world.at(6, 3)
    assert world.previous.repository("s3").stored_bytes == 5000 + 40 * 64


def test_windows_of_base_backups_that_lead_to_the_same_place_are_one(world):
    world.base(13, segment=40)
    world.wal([41, 42])

    world.watch()

    assert windows(world) == [(str(Lsn(5 * SEGMENT_BYTES + 4096)), lsn(43), True, False)]
    assert world.previous.windows[0].bases == ("20260111T030000Z-full", "20260118T030000Z-full")


def test_between_two_looks_at_everything_only_the_newest_wal_is_listed(world):
    world.wal(range(41, 1200))
    world.now += timedelta(minutes=20)
    world.watch()
    names = WalNamesCount(world)
    world.now += timedelta(minutes=5)
    world.wal([1200, 1201])

    with names:
        world.watch()

    assert names.listed <= 2 * (1202 % 256 + 1), "of 1200"
    assert windows(world)[0][1:] == (lsn(1202), True, False)


def test_a_segment_that_is_missing_at_the_end_is_critical_and_says_what_to_do(world):
    world.watch()
    for name in world.names:
        world.wal([42, 43], into=[name])
    world.now += timedelta(minutes=5)
    assert world.found() == [], "segments may come out of order, and late"

    world.now += timedelta(minutes=15)
    observed = world.watch()

    assert {(one.check, one.subject, one.level) for one in observed.findings} == {
        ("wal-gap", "WAL in local", Level.CRITICAL),
        ("wal-gap", "WAL in s3", Level.CRITICAL),
    }
    assert "segment 000000010000000000000029 is missing" in observed.findings[0].sentence
    assert "take-base-backup --target calibrify" in observed.findings[0].next_step
    assert windows(world) == [(str(Lsn(5 * SEGMENT_BYTES + 4096)), lsn(41), False, True)]


def test_a_gap_is_not_told_anew_each_time_and_does_not_close_until_somebody_can_judge(world):
    world.watch()
    world.wal([42, 43])
    world.now += timedelta(minutes=20)
    assert len(world.found()) == 2

    world.now += timedelta(minutes=5)
    observed = world.watch()

    for name in world.names:
        subject = f"WAL in {name}"
        assert ("wal-gap", subject) in observed.unjudged or subject in {
            one.subject for one in observed.findings
        }


def test_a_gap_is_gone_as_soon_as_the_segment_is_there(world):
    world.watch()
    world.wal([42, 43])
    world.now += timedelta(minutes=20)
    world.watch()
    world.wal([41])
    world.now += timedelta(minutes=5)

    observed = world.watch()

    assert observed.findings == ()
    assert observed.unjudged == frozenset()
    assert windows(world)[0][1:] == (lsn(44), True, False)


def test_a_segment_that_another_repository_has_is_a_warning_and_a_sync_brings_it(world):
    world.watch()
    world.wal([41], into=["local"])
    world.wal([42])
    world.now += timedelta(minutes=20)

    finding = only(world.watch())

    assert (finding.check, finding.subject, finding.level) == ("wal-gap", "WAL in s3", Level.WARNING)
    assert "brings it from local" in finding.next_step


def test_an_old_segment_that_is_deleted_is_found_within_an_hour(world):
    keys = world.wal([41])
    world.watch()
    old = keys[0].replace("000029-", "000014-")
    doomed = next(key for key in world.storages["s3"]._objects if "000000010000000000000014-" in key)
    assert old.rpartition("/")[0] == doomed.rpartition("/")[0]
    for storage in world.storages.values():
        storage.delete(doomed)
    found: list[str] = []
    runs = 0

    while not found:
        runs += 1
        world.now += world.rhythm
        found = world.found()

    assert runs <= 13
    assert found[0].startswith("critical wal-gap WAL in")
    world.now += timedelta(hours=1.1)
    assert world.found() == ["critical wal-gap WAL in local", "critical wal-gap WAL in s3"]


def test_a_gap_behind_which_a_newer_base_backup_leads_on_is_a_warning(world):
    world.wal(range(42, 60))
    world.now += timedelta(minutes=20)
    assert world.found() == ["critical wal-gap WAL in local", "critical wal-gap WAL in s3"]

    world.base(7, segment=59)
    world.wal(range(60, 63))

    assert world.found() == ["warning wal-gap WAL in local", "warning wal-gap WAL in s3"]
    assert [one[2:] for one in windows(world)] == [(False, True), (True, False)]


def test_a_window_that_retention_meant_to_end_is_no_gap(world):
    from dataclasses import replace

    from backstop.model.retention import apply_retention
    from backstop.model.retention_policy import RetentionPolicy

    policy = RetentionPolicy(keep_for=timedelta(days=7), monthly=12)

    def retention(name, candidates, now, seen):
        return apply_retention(candidates, policies=lambda label: policy, now=now, seen=seen)

    world.settings["sync"] = replace(world.target().settings.sync, retention=retention)
    for week in (2, 3, 4, 5, 6):
        world.base(6 + 7 * week, segment=40 + 10 * week)
    world.wal(range(41, 105))
    plan = retention("s3", [one.candidate for one in _cards(world)], world.now, {})
    gone = [
        key for key in list(world.storages["s3"]._objects) if "/data/wal/" in key and not _kept(plan, key)
    ]
    assert gone
    for storage in world.storages.values():
        for key in [*gone, *map(world.manifest_key, plan.expired)]:
            storage.delete(key)
    world.now += timedelta(hours=1)

    assert world.found("wal-gap") == []
    assert not any(window.gap for window in world.previous.windows)


def test_a_growing_segment_belongs_to_the_window(world):
    world.watch()
    tail = f"{TARGET}/tail/{SYSTEM_ID}/00000001/000000010000000000000029"
    for storage in world.storages.values():
        storage.upload(f"{tail}/00000000-00001000-{'a' * 16}", b"t" * 4096)
        storage.upload(f"{tail}/00001000-00000800-{'b' * 16}", b"t" * 2048)
    world.now += timedelta(minutes=5)

    assert world.found() == []
    assert windows(world)[0][1] == str(Lsn(41 * SEGMENT_BYTES + 6144))


def test_a_new_timeline_begins_a_window_of_its_own_from_the_old_base_backup(world):
    world.watch()
    _promote(world, at=41)
    world.wal(range(41, 45), timeline=2)
    world.now += timedelta(minutes=5)

    assert world.found() == []
    newest = [one for one in world.previous.windows if one.newest and one.repository == "s3"]
    assert [(one.timeline, one.end_lsn) for one in newest] == [(2, lsn(45))]


def test_without_a_key_for_histories_nothing_is_claimed_of_timelines(world):
    _promote(world, at=41)
    world.wal(range(41, 45), timeline=2)
    target = world.target()
    object.__setattr__(target, "keyring", lambda: None)
    world.target = lambda: target

    observed = world.watch()

    assert observed.findings == ()
    assert ("wal-gap", "WAL in s3") in observed.unjudged
    assert any("no key" in sentence for sentence in observed.observation.unseen)


def test_a_base_backup_that_lacks_objects_makes_no_window(world):
    world.watch()
    label = world.base(13, segment=40)
    for name in world.names:
        world.storages[name].delete(world.objects_of(label, name)[0])
    world.wal([41])

    assert world.found() == ["critical sync objects in local", "critical sync objects in s3"]
    assert world.previous.windows[0].bases == ("20260111T030000Z-full",)


def test_a_repository_that_is_down_keeps_the_windows_that_were_seen(world):
    world.watch()
    before = windows(world)
    world.storages["s3"].down = True
    world.now += timedelta(minutes=5)

    observed = world.watch()

    assert windows(world) == before
    assert ("wal-gap", "WAL in s3") in observed.unjudged
    assert only(observed).check == "repository"


def test_a_target_without_a_cluster_has_sizes_and_no_windows(tmp_path):
    world = World(tmp_path, kinds=(DUMP,), settings={"wal_repositories": ()})
    world.dump(0)

    assert world.found() == []
    assert world.previous.windows == ()
    assert world.previous.repository("local").stored_bytes == 1000


class WalNamesCount:
    """Counts names below the WAL that are listed while it is entered."""

    def __init__(self, world: World) -> None:
        self.world, self.listed = world, 0

    def __enter__(self) -> None:
        self.originals = {}
        for name, storage in self.world.storages.items():
            self.originals[name] = storage.list
            storage.list = self._counting(storage.list)

    def __exit__(self, *_: object) -> None:
        for storage in self.world.storages.values():
            del storage.list

    def _counting(self, listing):
        def counted(prefix):
            found = list(listing(prefix))
            self.listed += sum("/data/wal/" in info.key for info in found)
            return iter(found)

        return counted


def _promote(world: World, *, at: int) -> None:
    """The history file of timeline 2, which leaves timeline 1 at the start of a segment."""
    import io

    from backstop.crypto.envelope import encrypt_stream
    from backstop.model.canonical import sha256_hex
    from backstop.repository.wal_names import WalNames

    names = WalNames(TARGET, SYSTEM_ID)
    content = f"1\t{lsn(at)}\tno recovery target specified\n".encode()
    assert history_name(2) == "00000002.history"
    for storage in world.storages.values():
        sealed = io.BytesIO()
        encrypt_stream(io.BytesIO(content), sealed, keyring=world.keyring, context=names.history_context(2))
        storage.upload(names.history(2, sha256_hex(content)), sealed.getvalue())


def _cards(world: World):
    from backstop.commands.sync.holdings import card_of

    return [card_of(one.manifest) for one in world.target().repositories[1].catalog.backups().backups]


def _kept(plan, key: str) -> bool:
    segment = WalSegment.parse(key.rpartition("/")[2][:24], size_bytes=SEGMENT_BYTES)
    return plan.keeps_wal(SYSTEM_ID, timeline=segment.timeline, begin=segment.start, end=segment.end)
