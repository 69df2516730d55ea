"""A recovery from an S3 server that is slow, fails or goes away: it waits or stops, and never ends early."""

from __future__ import annotations

import shutil
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backstop.commands.wal.prefetch import PrefetchSettings
from backstop.errors import StorageUnavailableError
from backstop.model.recovery import RecoveryTarget
from backstop.storage.s3 import S3Storage
from tests.faults.s3_proxy import FaultyS3Proxy, answer, cut_answer, delay
from tests.recovery_world import World, numbers, running_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client

    from backstop.model.recovery import RecoveryPlan
    from backstop.storage.s3_retry import Patience

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

_WAL = "/wal"
_SLOW_SECONDS = 0.7


@pytest.fixture
def far(broken_client: S3Client, corner: str, impatient: Patience) -> Iterator[World]:
    """Three segments of commits, and their repository ``s3`` behind the proxy."""
    folder = Path(tempfile.mkdtemp(prefix="backstop-"))
    folder.chmod(0o711)
    with running_world(folder, 18) as world:
        world.protection.storages["s3"] = S3Storage(
            broken_client, bucket="backstop-tests", prefix=corner, patience=impatient
        )
        world.backups.take()
        for _ in range(3):
            world.source.ledger.write(2)
            world.source.switch()
        world.source.ledger.write(2)
        world.ship()
        yield world
    shutil.rmtree(folder)


def second(plan: RecoveryPlan) -> str:
    assert plan.first_segment
    return plan.first_segment.next().name


def test_a_repository_that_goes_away_half_way_stops_the_recovery_and_one_that_is_slow_makes_it_wait(
    far: World, proxy: FaultyS3Proxy
) -> None:
    restore = far.restore("s3", prefetch=PrefetchSettings(jobs=1, patience=timedelta(seconds=1)))
    plan = restore.plan(RecoveryTarget.parse("latest"))
    proxy.plant(answer(503), method="GET", path=second(plan), times=None)
    with pytest.raises(StorageUnavailableError):
        restore.run(plan)
    assert far.untouched()

    proxy.heal()
    # One answer breaks off, and one segment is refused for longer than the storage itself has patience.
    proxy.plant(cut_answer(100), method="GET", path=_WAL)
    proxy.plant(answer(503), method="GET", path=second(plan), times=12)
    proxy.plant(delay(_SLOW_SECONDS), method="GET", path=_WAL, times=None)

    result = far.restore("s3", prefetch=PrefetchSettings(jobs=1)).run(plan)

    assert far.ledger(far.out / "clone") == numbers(8)
    assert result.seconds["recover"] > 3 * _SLOW_SECONDS
