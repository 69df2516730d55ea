"""Everything about one backup, in every repository that has or had it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backstop.commands.recoverability.backup import read_backup
from backstop.model.retention_policy import RetentionPolicy

pytestmark = pytest.mark.integration


def policies(_repository, _label):
    return RetentionPolicy(keep_for=timedelta(days=30))


@pytest.fixture
def read(fleet, fleet_now):
    def read(label, target="calibrify"):
        with fleet.connect() as session:
            return read_backup(session, target, label, policies=policies, now=fleet_now)

    return read


@pytest.fixture
def label_where(fleet):
    def find(condition):
        with fleet.connect() as session:
            return session.execute(
                "SELECT label FROM public.backup_inventory "
                f"WHERE target = 'calibrify' AND {condition} ORDER BY finished_at LIMIT 1"
            ).fetchone()[0]

    return find


def test_what_has_expired_in_one_repository_says_so_there_and_when_it_goes_elsewhere(read, label_where):
    view = read(label_where("kind = 'dump' AND status = 'expired' AND finished_at > '2026-10-20'"))

    assert [one.repository for one in view.copies] == ["local", "s3"]
    assert view.copies[0].expired_at is not None
    assert view.copies[0].expiry_reasons == ["older than its retention (keep_for)"]
    assert list(view.leaving) == ["s3"]


def test_each_verification_is_there_with_its_seconds_and_differences(read, label_where):
    view = read(label_where("status = 'failed'"))

    assert {one.matched for one in view.proofs} == {False}
    assert view.proofs[0].differences == ["public.readings: 1200 rows, expected 1203"]
    assert set(view.proofs[0].seconds) == {"fetch", "restore", "total"}


def test_a_hold_in_force_is_there_and_keeps_it(read, fleet):
    with fleet.connect() as session:
        (label,) = session.execute(
            "SELECT label FROM public.backup_hold WHERE target = 'calibrify' LIMIT 1"
        ).fetchone()

    view = read(label)

    assert {one.reason for one in view.holds} == {"audit of the year"}
    assert any(stay.because == "held" for one in view.leaving.values() for stay in one.stays)


def test_what_the_inventory_does_not_have_is_none(read):
    assert read("20200101T010000Z-dump") is None
