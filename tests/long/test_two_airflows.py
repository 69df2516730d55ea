"""Two real Airflows in one repository by mistake: the second is refused, told by whom, and tears nothing."""

from __future__ import annotations

import html
import io
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from embedded.demo import BACK_UP, TARGET, VERIFY, Demo
from embedded.home import Home
from embedded.postgres import EmbeddedPostgres
from embedded.stack import Stack
from embedded.steps import Steps
from tests.long.two_airflows import EXPIRE, Deployment, HomeBeside, Pair, Second

if TYPE_CHECKING:
    from collections.abc import Iterator

    from embedded.airflow_api import Run

pytestmark = [
    pytest.mark.long,
    pytest.mark.airflow,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("two-airflows"),
]


def only_what_is_needed(target: dict[str, Any]) -> None:
    """One dump is enough to quarrel about."""
    for section in ("trees", "drill", "disaster"):
        del target[section]
    # What is older than the newest goes.
    target["database"]["retention"] = {"local": {"keep_last": 1, "min_proven": 1}, "s3": "90d"}
    target["expiry"] = {"approve_above": 1.0}


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    root = Path(tempfile.mkdtemp(prefix="backstop-two-"))
    root.chmod(0o711)
    home = Home(root / "one")
    quiet = Steps(io.StringIO())
    stacks = (Stack(home), Second(HomeBeside(root / "two", home)))
    pair = Pair(*map(Deployment, stacks))
    try:
        for one in stacks:
            one.up(quiet, without_airflow=True)
        Demo(stacks[0], quiet, scale=0.02).load_sample()
        for one in pair:
            one.change_targets(only_what_is_needed)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(Deployment.start_airflow, pair))
        yield pair
    finally:
        # What they share is the first one's.
        for one in reversed(stacks):
            one.down(quiet)
        shutil.rmtree(root, ignore_errors=True)


def test_while_one_backs_up_the_other_is_refused_and_told_which_airflow_it_is(pair: Pair) -> None:
    first, second = pair
    runs: list[Run] = []
    with pair.held_up("lease/dump", lambda: runs.append(first.admin.trigger(BACK_UP))) as claim:
        before = pair.stored()
        refused = second.admin.trigger(BACK_UP)
        said = second.wait_for_retry(refused, "back_up")
        assert pair.stored() == before
        # Its schedule is its own affair: whoever has read this need not wait for the next try.
        second.give_up(refused)
    [running] = runs

    assert f"dump backups of {TARGET} in {pair.repository.parent} are being written by " in said
    assert f"by Airflow at {first.airflow.url}: DAG {BACK_UP}, run {running.run_id}, task back_up " in said
    assert f"on {claim.host} (process {claim.pid}), since 20" in said
    assert "wait until it has finished; should that be another deployment, give it its own repository" in said
    assert "docs/upgrading.md" in said
    first.admin.require_success(running)
    # Then it is the other one's turn: of the same database each may take one, and each is a whole one.
    taken = second.admin.trigger(BACK_UP)
    second.admin.require_success(taken)
    labels = {one.admin.result(run, "back_up")["label"] for one, run in ((first, running), (second, taken))}
    assert len(labels) == 2
    assert pair.published() >= labels


def test_of_two_schedules_due_at_the_same_moment_one_waits_and_both_backups_are_whole(pair: Pair) -> None:
    before = pair.published()
    runs: dict[Deployment, Run] = {}
    moment = due_soon(pair)

    def wait_for_both() -> None:
        while len(runs) < 2:
            for one in pair:
                for run in one.admin.runs(BACK_UP):
                    if is_due(one, run, moment):
                        runs[one] = run
            time.sleep(0.2)

    with pair.held_up("lease/dump", lambda: None) as claim:
        wait_for_both()
        winner = next(one for one in pair if f"Airflow at {one.airflow.url}: " in claim.holder)
        loser = next(one for one in pair if one is not winner)
        said = loser.wait_for_retry(runs[loser], "back_up")
        assert pair.published() == before
    assert f"are being written by {claim}, since 20" in said
    assert runs[winner].run_id in said
    winner.admin.require_success(runs[winner])
    # Some minutes later it would try again by itself.
    loser.admin.clear(runs[loser], "back_up")
    loser.admin.require_success(runs[loser])
    for one in pair:
        one.change_targets(lambda target: target["database"].update(schedule="0 1 * * *"))

    labels = {one.admin.result(run, "back_up")["label"] for one, run in runs.items()}
    assert len(labels) == 2
    assert pair.published() == before | labels
    # Whoever took it, each proves it, and each says the same of what there is.
    for label in sorted(labels):
        judged = loser.cli("verify", "--label", label)
        assert judged.returncode == 0, judged.stderr
    told = [one.watch() for one in pair]
    for figure in ("word", "backup_at", "proven_at", "stored_bytes"):
        assert told[0][figure] == told[1][figure], told
    proven = [(label, name, "proven") for label in sorted(labels) for name in ("local", "s3")]
    assert [one.inventory(labels) for one in pair] == [proven, proven]


def test_each_says_on_its_page_and_in_its_status_that_the_other_one_writes_here(pair: Pair) -> None:
    for one in pair:
        back_up(one)
    for one, other in zip(pair, reversed(pair), strict=True):
        findings = [found for found in one.watch()["findings"] if found["check"] == "deployment"]
        page = one.shown(f"/backstop/targets/{TARGET}", one.airflow.token("viewer"))
        metrics = one.shown("/backstop/metrics", one.home.metrics_token.read_text().strip())

        assert {found["subject"] for found in findings} == {
            f"{other.airflow.url} in {name}" for name in ("local", "s3")
        }
        for found in findings:
            assert f"by Airflow at {other.airflow.url}: DAG " in found["sentence"]
            assert "give one of the two a repository, or a target name, of its own" in found["next_step"]
            assert found["sentence"] in html.unescape(page)
            assert (
                f'backstop_finding_open{{check="deployment",level="warning",subject="{found["subject"]}",'
                f'target="{TARGET}"}} 1.0'
            ) in metrics


def test_what_one_verifies_is_not_removed_by_the_expiry_of_the_other(pair: Pair) -> None:
    first, second = pair
    going, read, newest = (back_up(first) for _ in range(3))
    for label in (going, newest):
        proven = first.cli("verify", "--label", label)
        assert proven.returncode == 0, proven.stderr
    verification: list[Run] = []

    def verify() -> None:
        second.pause(VERIFY, paused=False)
        verification.append(second.admin.trigger(VERIFY))

    with pair.held_up(f"pins/{read}", verify):
        expiry = first.admin.trigger(EXPIRE)
        first.admin.require_success(expiry)
        plan = first.admin.log(expiry, first.task(expiry, "plan"))
        said = "\n".join(str(line.get("event", "")) for line in plan)

    assert {read, newest} <= pair.published()
    assert going not in pair.published()
    assert "it is being read: verify" in said
    second.admin.require_success(verification[0])
    second.pause(VERIFY)
    assert {read, newest} <= pair.published()
    # What nobody reads any more goes, whoever removes it; and the newest proven one never does.
    second.admin.require_success(second.admin.trigger(EXPIRE))
    assert pair.published() == {newest}
    # What the rules of its own targets.yaml let go, nobody misses, whoever expired it.
    for one in pair:
        assert [found for found in one.watch()["findings"] if found["check"] == "sync"] == []


def due_soon(pair: Pair) -> datetime:
    """A moment within two minutes, at which both have a backup due."""
    moment = datetime.now(timezone.utc).replace(second=0, microsecond=0) + timedelta(minutes=1)
    if moment < datetime.now(timezone.utc) + timedelta(seconds=30):
        moment += timedelta(minutes=1)
    for one in pair:
        one.change_targets(
            lambda target: target["database"].update(schedule=f"{moment.minute} {moment.hour} * * *")
        )
        one.parse_now(BACK_UP)
    for one in pair:
        while not due_at(one.admin.get(f"/api/v2/dags/{BACK_UP}")["next_dagrun_run_after"], moment):
            assert datetime.now(timezone.utc) < moment, "Airflow has not read the new schedule in time"
            time.sleep(0.5)
    return moment


def is_due(one: Deployment, run: Run, moment: datetime) -> bool:
    found = one.admin.get(run.path)
    return found["run_type"] == "scheduled" and due_at(found["run_after"], moment)


def due_at(text: str | None, moment: datetime) -> bool:
    return text is not None and datetime.fromisoformat(text.replace("Z", "+00:00")) == moment


def back_up(one: Deployment) -> str:
    run = one.admin.trigger(BACK_UP)
    one.admin.require_success(run)
    return str(one.admin.result(run, "back_up")["label"])


def test_a_copy_of_the_protected_server_is_refused_by_how_far_it_has_come(pair: Pair) -> None:
    """The second one is a copy of the first one's whole disk, database included, and protects that copy."""
    first, second = pair
    with copied(first.stack.protected) as server:
        with first.stack.protected.connect(TARGET) as session:
            session.execute("CREATE TABLE public.later AS SELECT n FROM generate_series(1, 1000) AS n")
            session.execute("DROP TABLE public.later")
        newest = back_up(first)
        before = pair.stored()

        with second.protecting(server):
            run = second.admin.trigger(BACK_UP)
            assert second.admin.wait(run) == "failed"
            said = second.admin.last_error(run, second.task(run, "back_up"))
            base = second.cli("take-base-backup", "--full")

    assert second.task(run, "back_up")["try_number"] == 1
    for words in (said, " ".join(base.stderr.split())):
        assert f"{newest} of {TARGET} in local was taken at " in words
        assert "it is a copy of that one, or was put back to an earlier state" in words
        assert "give a copy another target, or another repository (docs/upgrading.md)" in words
    assert base.returncode == 1
    assert pair.stored() == before


@contextmanager
def copied(server: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """A running copy of the files of a server, which stands still only while they are copied."""
    directory = server.directory.with_name("copied")
    server.stop()
    try:
        subprocess.run(["cp", "-a", str(server.directory), str(directory)], check=True)
    finally:
        server.start()
    (directory / "port").unlink()
    with EmbeddedPostgres(directory, bin_dir=server.bin_dir, settings=server.settings) as copy:
        yield copy
