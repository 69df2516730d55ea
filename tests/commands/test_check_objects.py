"""What reading stored bytes again finds, and what it says about it."""

from __future__ import annotations

import errno
import os
import random

import pytest

from backstop.commands.check.disprove import ISOLATION
from backstop.errors import KeyUnavailableError, StorageUnavailableError
from backstop.model.lsn import MEBIBYTE
from backstop.repository.catalog import Repository
from backstop.storage.posix import PosixStorage
from tests.commands.checking import NOW, CheckWorld, keys_of


@pytest.fixture
def world(tmp_path) -> CheckWorld:
    return CheckWorld(tmp_path)


def said(report):
    return "\n".join(report.sentences())


def test_a_repository_without_damage_is_read_whole_and_nothing_is_said(world):
    backups = [world.publish(number) for number in range(3)]
    world.put_wal(5)
    world.put_piece(6)

    report = world.check()

    assert not report.bad
    assert said(report) == ""
    assert report.objects == sum(len(keys_of(one)) for one in backups) + 2
    assert report.read_bytes == report.stored_bytes > 2**20
    assert report.unjudged == 0


def test_a_flipped_bit_is_found_and_the_backup_that_cannot_be_restored_is_named(world):
    first, second = world.publish(0), world.publish(1)
    key = keys_of(first)[0]
    world.flip(key)

    report = world.check()

    assert report.bad
    assert [one.key for one in report.damaged] == [key]
    assert "has other content" in said(report)
    assert f"cannot be restored from here: {first.manifest.label}" in said(report)
    assert str(second.manifest.label) not in said(report)


@pytest.mark.parametrize("cut", [0, 1, 700])
def test_an_object_that_was_cut_is_found(world, cut):
    key = keys_of(world.publish())[0]
    os.truncate(world.path(key), cut)

    report = world.check()

    assert f"{key} is {cut} bytes long instead of " in said(report)


def test_an_object_that_grew_is_found(world):
    key = keys_of(world.publish())[0]
    world.path(key).write_bytes(world.read(key) + bytes(5_000_000))

    assert "is more than " in said(world.check())


def test_two_objects_that_changed_places_are_both_found(world):
    one, other = keys_of(world.publish())[:2]
    first, second = world.read(one), world.read(other)
    world.path(one).write_bytes(second)
    world.path(other).write_bytes(first)

    assert {damaged.key for damaged in world.check().damaged} == {one, other}


def test_a_missing_object_is_found(world):
    key = keys_of(world.publish())[0]
    world.path(key).unlink()

    assert f"{key} is missing; cannot be restored from here" in said(world.check())


def test_a_disk_that_cannot_read_a_block_is_damage_and_not_a_reason_to_stop(world, monkeypatch):
    published = world.publish()
    bad = keys_of(published)[0]
    opened = PosixStorage.open

    class Failing:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def read(self, _):
            from backstop.storage.posix_files import errors_named

            with errors_named(world.path(bad)):
                raise OSError(errno.EIO, os.strerror(errno.EIO))

    def open_some(self, key, *, version_id=None):
        return Failing() if key == bad and "local" in str(self.root) else opened(self, key)

    monkeypatch.setattr(PosixStorage, "open", open_some)

    report = world.check()

    assert [(one.key, one.what) for one in report.damaged] == [(bad, "cannot be read: Input/output error")]
    assert report.objects == len(keys_of(published))


def test_a_repository_that_does_not_answer_is_no_damage(world, monkeypatch):
    world.publish()

    def gone(self, key, *, version_id=None):
        raise StorageUnavailableError(f"{key}: no answer")

    monkeypatch.setattr(
        "backstop.commands.check.reread.open_stored", lambda storage, one: gone(storage, one.key)
    )

    with pytest.raises(StorageUnavailableError):
        world.check()


def test_what_only_an_untrusted_manifest_names_is_not_judged_and_that_is_said(world):
    first, second = world.publish(0), world.publish(1)
    world.flip(f"calibrify/meta/manifests/{second.manifest.label}.json", at=40)

    report = world.check()

    assert report.bad
    assert report.objects == len(keys_of(first))
    assert "not to be trusted" in said(report)


def test_an_object_of_a_backup_that_expires_while_it_is_checked_is_not_missed(world, monkeypatch):
    first, second = world.publish(0), world.publish(1)
    from backstop.commands.check import check

    read_arc = check.read_arc

    def expiring(*arguments, **named):
        for key in (f"calibrify/meta/manifests/{first.manifest.label}.json", *keys_of(first)):
            world.path(key).unlink()
        return read_arc(*arguments, **named)

    monkeypatch.setattr(check, "read_arc", expiring)

    report = world.check()

    assert not report.bad
    assert report.objects == len(keys_of(first)) + len(keys_of(second))


# -- WAL -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [3, 200, -5])
def test_a_damaged_segment_of_wal_is_found_by_opening_it(world, at):
    world.put_wal(4)
    key = world.put_wal(5)
    world.flip(key, at=at)

    assert [one.key for one in world.check().damaged] == [key]


def test_a_segment_under_the_name_of_another_is_found(world):
    one, other = world.put_wal(4), world.put_wal(5)
    world.path(one).write_bytes(world.read(other))

    assert [damaged.key for damaged in world.check().damaged] == [one]


def test_other_content_of_the_same_segment_under_its_name_is_found(world):
    key = world.put_wal(5)
    _, theirs = world.seal_wal(5, bytes(MEBIBYTE))
    world.path(key).write_bytes(theirs)

    [damaged] = world.check().damaged

    assert (damaged.key, damaged.what) == (key, "holds other content than its name says")


def test_a_piece_of_a_growing_segment_is_opened_too(world):
    key = world.put_piece(5)
    world.flip(key)

    assert [one.key for one in world.check().damaged] == [key]


def test_without_a_key_ring_wal_is_read_and_said_to_be_unjudged(world):
    key = world.put_wal(5)
    world.flip(key)

    report = world.check(keyring=None)

    assert (report.bad, report.unjudged, report.objects) == (False, 1, 1)


def test_wal_that_expires_while_it_is_checked_is_not_missed(world, monkeypatch):
    key = world.put_wal(5)
    from backstop.commands.check import check

    read_arc = check.read_arc

    def expiring(*arguments, **named):
        world.path(key).unlink()
        return read_arc(*arguments, **named)

    monkeypatch.setattr(check, "read_arc", expiring)

    assert not world.check().bad


# -- Samples -------------------------------------------------------------------------------------------------


def read_keys(world, monkeypatch, **settings):
    """Which objects a check reads."""
    from backstop.commands.check.reread import Reader

    read: list[str] = []
    problem = Reader.problem

    def noting(self, wanted, *, into=None):
        read.append(wanted.key)
        return problem(self, wanted, into=into)

    with monkeypatch.context() as patch:
        patch.setattr(Reader, "problem", noting)
        world.check(**settings)
    return read


def test_successive_samples_read_everything_once_before_they_begin_again(world, monkeypatch):
    keys = [key for number in range(16) for key in keys_of(world.publish(number))]
    clock = iter(NOW.replace(minute=minute, second=second) for minute in range(60) for second in range(60))

    runs = [read_keys(world, monkeypatch, share=0.1, clock=lambda: next(clock)) for _ in range(10)]

    assert sorted(key for run in runs for key in run) == sorted(keys)
    assert max(map(len, runs)) < len(keys) / 3
    again = read_keys(world, monkeypatch, share=0.1, clock=lambda: next(clock))
    assert again == runs[0]


def test_a_sample_of_a_small_repository_reads_one_object_at_least_and_gets_round(world, monkeypatch):
    keys = keys_of(world.publish(objects=1))
    clock = iter(NOW.replace(minute=minute, second=second) for minute in range(60) for second in range(60))

    runs = [read_keys(world, monkeypatch, share=0.01, clock=lambda: next(clock)) for _ in keys]

    assert sorted(key for run in runs for key in run) == sorted(keys)


def test_a_seed_draws_another_sample_which_can_be_drawn_again_and_moves_nothing(world, monkeypatch):
    for number in range(10):
        world.publish(number)
    before = read_keys(world, monkeypatch, share=0.2)

    one = read_keys(world, monkeypatch, share=0.2, seed=7)
    again = read_keys(world, monkeypatch, share=0.2, seed=7)

    assert one == again
    assert one != read_keys(world, monkeypatch, share=0.2, seed=8)
    assert set(before).isdisjoint(read_keys(world, monkeypatch, share=0.2))


def test_packs_that_several_backups_share_are_read_once(world, monkeypatch):
    published = world.publish(0)
    other = world.local.manifest(
        published.manifest.label.at(published.manifest.started_at.replace(day=25), published.manifest.kind),
        list(published.manifest.objects),
        published.manifest.started_at.replace(day=25),
    )
    world.local.catalog.publish(other, signer=world.signer, ensure_held=lambda: None)
    world.flip(keys_of(published)[0])

    [damaged] = world.check().damaged

    assert set(damaged.lost) == {published.manifest.label, other.label}
    assert len(read_keys(world, monkeypatch)) == len(keys_of(published))


# -- Killed --------------------------------------------------------------------------------------------------


class Killed(BaseException):
    pass


@pytest.mark.parametrize("after", [1, 7, 20])
def test_a_killed_check_goes_on_where_it_was_and_remembers_what_it_found(world, monkeypatch, after):
    keys = [key for number in range(8) for key in keys_of(world.publish(number))]
    bad = random.Random(after).choice(keys)
    world.flip(bad)
    from backstop.commands.check.reread import Reader

    problem, read = Reader.problem, []

    def dying(self, wanted, *, into=None):
        if len(read) == after:
            raise Killed
        read.append(wanted.key)
        return problem(self, wanted, into=into)

    with monkeypatch.context() as patch:
        patch.setattr(Reader, "problem", dying)
        with pytest.raises(Killed):
            world.check(jobs=1, note_every=1)

    rest: list[str] = []

    def noting(self, wanted, *, into=None):
        rest.append(wanted.key)
        return problem(self, wanted, into=into)

    monkeypatch.setattr(Reader, "problem", noting)
    report = world.check(jobs=1, note_every=1)

    # What had been read ahead of the last note is read again.
    assert len(set(read) & set(rest)) <= 2
    assert set(read) | set(rest) == set(keys)
    assert [one.key for one in report.damaged] == [bad]
    assert report.objects == len(keys)


def test_with_restart_a_killed_check_begins_anew(world, monkeypatch):
    keys = keys_of(world.publish(objects=5))
    from backstop.commands.check.reread import Reader

    with monkeypatch.context() as patch:
        problem, count = Reader.problem, []

        def dying(self, wanted, *, into=None):
            count.append(wanted)
            if len(count) > 2:
                raise Killed
            return problem(self, wanted, into=into)

        patch.setattr(Reader, "problem", dying)
        with pytest.raises(Killed):
            world.check(jobs=1, note_every=1)

    assert sorted(read_keys(world, monkeypatch, restart=True, jobs=1)) == sorted(keys)


# -- What it costs -------------------------------------------------------------------------------------------


def test_a_backup_that_lost_an_object_is_proven_no_more_until_a_verification_says_so(world):
    published = world.publish()
    world.local.prove(published, signer=world.verifier)
    world.flip(keys_of(published)[0])

    report = world.check()

    verifications = world.local.catalog.verifications(published)
    assert report.disproved == (published.manifest.label,)
    assert not verifications.proven
    assert verifications.proofs[-1].isolation == ISOLATION
    assert keys_of(published)[0] in verifications.proofs[-1].differences[0]
    # Not once a week.
    assert world.check(clock=lambda: NOW.replace(day=30)).disproved == ()
    assert len(world.local.catalog.proofs(published)) == 2


def test_where_no_proofs_are_signed_that_is_said(world):
    key = keys_of(world.publish())[0]
    world.flip(key)

    report = world.check(signer=None)

    assert report.disproved == ()
    assert "still count as proven" in said(report)


def test_a_repository_that_takes_no_record_is_checked_all_the_same(world):
    world.publish()

    class ReadOnly(PosixStorage):
        def put_once(self, key, data):
            raise StorageUnavailableError(f"{key}: read-only")

    storage = ReadOnly(world.folder / "local")
    repository = Repository("local", storage, world.local.catalog)

    report = world.check(repository=repository)

    assert not report.bad
    assert "the next check begins at the same place" in said(report)


def test_a_key_that_opens_nothing_is_told_from_a_key_service_that_does_not_answer(world):
    world.put_wal(5)

    class Lost:
        key_ids = ("backstop-local/none",)

        def __getattr__(self, name):
            def refuse(*_, **__):
                raise KeyUnavailableError("no key opens it")

            return refuse

    [damaged] = world.check(keyring=Lost()).damaged

    assert "none of our keys" in damaged.what
