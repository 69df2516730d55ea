"""A server that is behind its own newest backup is a copy of it, or was put back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backstop.commands.same_server import refuse_earlier
from backstop.errors import SourceError
from backstop.model.backup import BackupKind, BackupLabel
from backstop.model.lsn import Lsn
from tests.making import STARTED
from tests.many_backups import a_manifest

NEWEST = a_manifest(
    BackupLabel.at(STARTED, BackupKind.DUMP),
    STARTED,
    [],
    timeline=2,
    end_lsn="0/5000000",
    system_id="42",
)


def compare(timeline: int | None, lsn: str, newest=NEWEST) -> None:
    refuse_earlier(newest, "s3", timeline=timeline, lsn=Lsn.parse(lsn), verb="back-up-database")


@pytest.mark.parametrize(("timeline", "lsn"), [(2, "0/5000000"), (2, "1/0"), (3, "0/1000000")])
def test_a_server_that_went_on_is_the_same_one(timeline, lsn):
    compare(timeline, lsn)


@pytest.mark.parametrize(("timeline", "lsn"), [(2, "0/4FFFFFF"), (1, "1/0")])
def test_one_that_is_behind_its_newest_backup_is_refused_until_it_is_allowed_by_name(timeline, lsn):
    with pytest.raises(SourceError) as refused:
        compare(timeline, lsn)

    assert f"has only come to {lsn} on timeline {timeline}: it is a copy of that one" in str(refused.value)
    assert "`python -m backstop back-up-database --target calibrify --new-cluster 42`" in refused.value.hint


def test_where_either_does_not_say_how_far_it_has_come_nothing_is_compared():
    compare(None, "0/1")
    compare(1, "0/1", replace(NEWEST, timeline=None))
    compare(1, "0/1", replace(NEWEST, end_lsn=None))
