"""Servers and receivers are killed at any moment under load: what comes back is what had been committed."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.long.disaster_plan import Plan
from tests.long.disasters import Disaster
from tests.long.wal_site import Site
from tests.long.wal_templates import Templates

if TYPE_CHECKING:
    from collections.abc import Callable

    from embedded.seaweedfs import EmbeddedSeaweedFS
    from tests.long.trials import Campaign

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("disasters")]

#: By default the dice choose among versions; so all trials are of one.
MAJOR = int(os.environ["BACKSTOP_TRIALS_MAJOR"]) if os.environ.get("BACKSTOP_TRIALS_MAJOR") else None


@pytest.fixture(scope="session")
def templates(servers_directory: Path) -> Templates:
    return Templates(servers_directory)


@pytest.fixture
def strike(
    templates: Templates, seaweedfs: EmbeddedSeaweedFS
) -> Callable[[Plan, random.Random, bool, str], dict[str, Any]]:
    """Carries one plan out in a folder of its own, which stays when it fails."""

    def run(plan: Plan, dice: random.Random, synchronous: bool, repeat: str) -> dict[str, Any]:
        folder = Path(tempfile.mkdtemp(prefix="bsd-"))
        folder.chmod(0o711)
        try:
            server = templates.copy(
                folder / "pg", major=plan.major, segment_mb=plan.segment_mb, summarize=plan.incrementals > 0
            )
            with Site(folder, server, seaweedfs, synchronous=synchronous, interrupted=plan.before) as site:
                disaster = Disaster(plan, site, dice)
                disaster.run()
        except Exception as error:
            raise AssertionError(
                f"{type(error).__name__}: {error}\n{plan}\nits files: {folder}\n{repeat}"
            ) from error
        shutil.rmtree(folder, ignore_errors=True)
        return disaster.facts

    return run


def run(trials: Campaign, strike: Callable[..., dict[str, Any]], *, synchronous: bool) -> None:
    for trial in trials:
        plan = Plan.thrown(trial.random, major=MAJOR)
        repeat = f"repeat it alone: {trials.repeat(trial.number)} make trials"
        trials.note(**strike(plan, trial.random, synchronous, repeat))


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_after_any_disaster_exactly_what_was_committed_by_the_target_comes_back(
    strike: Callable[..., dict[str, Any]], campaign: Callable[[str, int], Campaign]
) -> None:
    run(campaign("disasters", 50), strike, synchronous=False)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_when_commits_wait_for_the_repository_no_acknowledged_one_is_ever_lost(
    strike: Callable[..., dict[str, Any]], campaign: Callable[[str, int], Campaign]
) -> None:
    run(campaign("disasters-synchronous", 50), strike, synchronous=True)


_SOME = Plan(
    major=18, segment_mb=1, clients=3, incrementals=0, switches=False, before="", lasts_seconds=0.5,
    heals=True, strike="server", spool_lost=True, quiet_seconds=1.0, goal="latest", inclusive=True,
    repository="far", alone=True, check_pages=False,
)  # fmt: skip


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("plan", "synchronous"),
    [
        (_SOME, False),
        (replace(_SOME, incrementals=1, strike="receiver", goal="time", repository="near"), False),
        (replace(_SOME, major=16, before="server killed", strike="receiver and server", goal="xid"), False),
        (replace(_SOME, before="far refuses", strike="server and receiver", alone=False), True),
    ],
    ids=["server lost", "spool lost", "crash before", "synchronous"],
)
def test_a_disaster_loses_no_more_than_was_reported(
    strike: Callable[..., dict[str, Any]], plan: Plan, synchronous: bool
) -> None:
    strike(plan, random.Random("smoke"), synchronous, "one of the disasters of every test run")
