"""Servers and receivers are killed at any moment under load: what comes back is what had been committed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.long.disasters import Disaster, Plan, clear
from tests.long.wal_site import Site, Templates

if TYPE_CHECKING:
    from collections.abc import Callable

    from embedded.seaweedfs import EmbeddedSeaweedFS
    from tests.long.trials import Campaign

pytestmark = [pytest.mark.integration, pytest.mark.timeout(3600)]

MAJOR = int(os.environ["BACKSTOP_TRIALS_MAJOR"]) if os.environ.get("BACKSTOP_TRIALS_MAJOR") else None


@pytest.fixture(scope="session")
def templates(servers_directory: Path) -> Templates:
    return Templates(servers_directory)


def run(trials: Campaign, templates: Templates, s3: EmbeddedSeaweedFS, *, synchronous: bool) -> None:
    """Every trial in a folder of its own, which stays when the trial fails."""
    for trial in trials:
        plan = Plan.thrown(trial.random, major=MAJOR)
        folder = Path(tempfile.mkdtemp(prefix="bs-"))
        folder.chmod(0o711)
        server = templates.copy(folder / "pg", major=plan.major, segment_mb=plan.segment_mb)
        try:
            with Site(folder, server, s3, synchronous=synchronous) as site:
                disaster = Disaster(plan, site, trial.random)
                disaster.run()
        except BaseException as error:
            # Not a chain of causes only: what to repeat stands in the last line.
            error.args = (f"{error}\n{plan}\nits files: {folder}\nrepeat: {trials.repeat(trial.number)}",)
            raise
        clear(folder)
        trials.note(**disaster.facts)


@pytest.mark.long
def test_after_any_disaster_exactly_what_was_committed_by_the_target_comes_back(
    templates: Templates, seaweedfs: EmbeddedSeaweedFS, campaign: Callable[[str, int], Campaign]
) -> None:
    run(campaign("disasters", 50), templates, seaweedfs, synchronous=False)


@pytest.mark.long
def test_when_commits_wait_for_the_repository_no_acknowledged_one_is_ever_lost(
    templates: Templates, seaweedfs: EmbeddedSeaweedFS, campaign: Callable[[str, int], Campaign]
) -> None:
    run(campaign("disasters-synchronous", 50), templates, seaweedfs, synchronous=True)
