"""A watch tells of another Airflow that writes under the same target name, until a day after it has ended."""

from __future__ import annotations

from datetime import timedelta

import pytest

from backstop.model.finding import Level
from backstop.model.holder import airflow_holder
from backstop.repository.lock import EXPIRY, Lease
from tests.observing import only
from tests.syncing import TARGET

OURS, OTHER = "https://airflow.example.org", "https://staging.example.org"


@pytest.fixture
def shared(world):
    """A world that is watched by the first Airflow."""
    world.airflow = OURS
    world.dump(0)
    return world


def take_lease(world, holder, *, kind="dump", name="s3"):
    lease = Lease.acquire(world.storages[name], TARGET, kind, holder=holder, clock=lambda: world.now)
    lease.release()


def by(address, *, dag_id="back_up_database__calibrify"):
    return airflow_holder(address, dag_id=dag_id, run_id="scheduled__2026-01-05T01:00:00", task_id="back_up")


def test_its_own_leases_and_those_of_a_command_line_are_nothing_to_tell(shared):
    take_lease(shared, by(OURS))
    take_lease(shared, "`python -m backstop` with /etc/backstop/targets.yaml, by ada@db1", name="local")
    take_lease(shared, by(None), kind=EXPIRY)

    assert shared.found() == []


def test_another_airflow_is_named_with_its_run_its_host_and_what_to_do(shared):
    take_lease(shared, by(OTHER))

    finding = only(shared.watch())

    assert (finding.check, finding.subject, finding.level) == (
        "deployment", f"{OTHER} in s3", Level.WARNING,
    )  # fmt: skip
    assert "another deployment writes or expires backups of calibrify in s3: at 2026-01-05 01:10 UTC" in str(
        finding
    )
    assert f"by Airflow at {OTHER}: DAG back_up_database__calibrify, run scheduled__" in finding.sentence
    assert " on " in finding.sentence
    assert "(process " in finding.sentence
    assert "give one of the two a repository, or a target name, of its own" in finding.next_step


def test_it_is_told_although_we_were_the_last_to_write_and_until_a_day_has_passed(shared):
    take_lease(shared, by(OTHER))
    took_at = shared.now
    for hours in (0, 1, 23):
        shared.now = took_at + timedelta(hours=hours)
        take_lease(shared, by(OURS))
        assert f"warning deployment {OTHER} in s3" in shared.found("deployment")

    shared.now = took_at + timedelta(hours=25)
    assert shared.found("deployment") == []


def test_a_lease_is_read_by_one_watch_and_remembered_by_the_next(shared):
    def reads():
        before = shared.storages["s3"].asked["read"]
        assert shared.found("deployment") == [f"warning deployment {OTHER} in s3"]
        return shared.storages["s3"].asked["read"] - before

    take_lease(shared, by(OTHER))
    reads()
    shared.now += timedelta(hours=1)
    reads()
    shared.now += timedelta(hours=1)
    usual = reads()
    take_lease(shared, by(OTHER), kind=EXPIRY)

    assert reads() == usual + 1


def test_a_lease_that_was_taken_right_before_an_outage_is_read_after_it(shared):
    shared.found()
    shared.now += timedelta(minutes=5)
    take_lease(shared, by(OTHER))
    shared.storages["s3"].down = True
    for _ in range(6):
        shared.now += timedelta(minutes=5)
        assert shared.found("deployment") == []
    shared.storages["s3"].down = False

    assert shared.found("deployment") == [f"warning deployment {OTHER} in s3"]


def test_whoever_is_no_airflow_or_does_not_know_its_address_judges_nothing(shared):
    take_lease(shared, by(OTHER))
    shared.airflow = None

    observed = shared.watch()

    assert observed.findings == ()
    assert ("deployment", "*") in observed.unjudged
