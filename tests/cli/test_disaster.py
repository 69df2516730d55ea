"""Disasters from the command line alone: a server, media and configuration, against real ones."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.test_physical import CHECKOUT, wait_for
from tests.disaster_site import DisasterSite, disaster_site

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("disaster_site"), pytest.mark.timeout(240)]

VERB = "recover-from-disaster"


@pytest.fixture(scope="module")
def protected() -> Iterator[DisasterSite]:
    with disaster_site() as site:
        yield site


@pytest.fixture
def site(protected: DisasterSite) -> Iterator[DisasterSite]:
    """With all WAL stored, nothing lost, and no incident open when it is over."""
    protected.describe()
    protected.keep_archiving()
    protected.wait_until_archived()
    yield protected
    protected.describe()
    for incident in protected.disasters().journal.open_incidents():
        protected.disasters().open(incident).close(outcome="the test is over")


def states(status: dict[str, Any]) -> dict[str, str]:
    return {one["step"]: one["state"] for one in status["steps"]}


def condition(assessment: dict[str, Any], component: str) -> str:
    return next(one["state"] for one in assessment["components"] if one["component"] == component)


def test_what_is_whole_is_left_alone_and_nothing_is_chosen_for_anybody(site: DisasterSite) -> None:
    site.run(VERB, "--declare", "it feels slow")

    assessment = site.run(VERB, "--options")

    assert [one["state"] for one in assessment["components"]] == ["whole"] * 3
    assert (assessment["lost"], assessment["recommended"]) == ([], None)
    refused = site.run(VERB, "--yes", code=3)["error"]
    assert "nothing is damaged" in refused["message"]
    assert states(site.run(VERB, "--status"))["choose"] == "open"


def test_a_dropped_table_is_damage_to_the_server_by_its_newest_dump(site: DisasterSite) -> None:
    with site.server.connect() as session:
        session.execute("ALTER TABLE ledger RENAME TO ledger_away")
    try:
        site.run(VERB, "--declare", "somebody dropped a table")
        assert condition(site.run(VERB, "--options"), "base") == "whole"  # as many tables as before
        with site.server.connect() as session:
            session.execute("ALTER TABLE ledger_away SET SCHEMA information_schema")
        found = site.run(VERB, "--options")
        assert condition(found, "base") == "damaged"
        assert "has 0 tables" in json.dumps(found)
    finally:
        with site.server.connect() as session:
            session.execute("ALTER TABLE IF EXISTS information_schema.ledger_away SET SCHEMA public")
            session.execute("ALTER TABLE ledger_away RENAME TO ledger")


def test_everything_is_lost_with_a_repository_and_comes_back_by_one_command(site: DisasterSite) -> None:
    count = "SELECT count(*) > 0 FROM ledger"
    site.describe(
        infrastructure={"check": [["test", "-d", str(site.folder)]]},
        validation={
            "functionality": [{"name": "rows", "sql": count, "expect": True}],
            "consistency": [{"name": "psql env", "command": ["sh", "-c", 'test "$PGDATABASE" = postgres']}],
        },
    )
    before = site.rows()
    site.lose_the_server()
    shutil.rmtree(site.media)
    shutil.rmtree(site.config)
    (site.folder / "near").rename(site.folder / "unmounted")
    try:
        text, said = site.text(VERB, "--yes")
    finally:
        shutil.rmtree(site.folder / "near", ignore_errors=True)
        (site.folder / "unmounted").rename(site.folder / "near")

    assert site.rows() == before
    assert (site.names(site.media), site.names(site.config)) == (["a.jpg", "b.jpg"], ["app.conf"])
    assert "1 h are allowed" in text
    assert "everything is back" in text
    assert "validate:functionality: passed" in said
    status = site.run(VERB, "--status", "--incident", site.disasters().journal.incidents()[-1])
    assert status["closed_at"] is not None
    passed = {step for step, state in states(status).items() if state == "passed"}
    assert {"infrastructure", "recover:base", "recover:tree:media", "recover:tree:config", "record"} <= passed
    assert states(status)["validate:integrations"] == "skipped"
    order = [one["step"] for one in status["steps"] if one["step"].startswith("recover:")]
    assert order == ["recover:tree:config", "recover:base", "recover:tree:media"]


_KILLED = """\
import sys
sys.path[:0] = {path!r}
from backstop.cli.main import main
sys.exit(main(["recover-from-disaster", "--run", "--yes"]))
"""


@pytest.mark.parametrize("started", [False, pytest.param(True, marks=pytest.mark.long)])
def test_killed_in_the_middle_of_a_cut_over_the_next_run_ends_it_without_recovering_anew(
    site: DisasterSite, started: bool
) -> None:
    before, reached = site.rows(), site.folder / "reached"
    reached.unlink(missing_ok=True)
    site.lose_the_server()
    site.run(VERB, "--declare", "the disk of db1 died", "--component", "database")
    site.run(VERB, "--options")
    site.run(VERB, "--choose", "newest")
    site.hold_the_start(reached, behind_it=started)
    script = _KILLED.format(path=[str(CHECKOUT / "plugins"), str(CHECKOUT)])
    recovering = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    wait_for(lambda: reached.exists() or recovering.poll() is not None, lambda: "it never came so far")
    recovering.kill()
    _, said = recovering.communicate()
    assert reached.exists(), said
    os.kill(int(reached.read_text()), signal.SIGKILL)
    site.describe()
    site.start_once()
    assert states(site.run(VERB, "--status"))["recover:base"] == "interrupted"

    status = site.run(VERB, "--run", "--yes")

    assert site.rows() == before
    [base] = [one for one in status["steps"] if one["step"] == "recover:base"]
    assert (base["state"], base["tries"]) == ("passed", 2)
    assert any("interrupted, and ended by another run" in note for note in base["facts"]["notes"])
    assert len(list(site.recovered.glob("calibrify-*"))) == 0


@pytest.mark.long
def test_before_a_mistake_the_rows_of_that_moment_come_back(site: DisasterSite) -> None:
    before = site.rows()
    moment = site.write(77)
    with site.server.connect() as session:
        session.execute("DELETE FROM ledger")
    site.write(-1)
    site.wait_until_archived()

    site.run(
        VERB, "--declare", "DELETE without WHERE", "--component", "database", "--before", moment.isoformat()
    )
    assessment = site.run(VERB, "--options")
    assert assessment["recommended"] == "before"
    site.run(VERB, "--choose", "before")
    site.run(VERB, "--run", "--yes")

    assert site.rows() == sorted([*before, 77])
