"""What is healthy is not replaced because somebody looked from the wrong place or too early."""

from __future__ import annotations

import shutil
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from backstop.commands.disaster import cluster
from backstop.commands.disaster.carry_out import carry_out
from backstop.commands.disaster.cluster import ClusterComponent
from backstop.commands.disaster.component import Condition, Sources
from backstop.commands.disaster.process import this_process
from backstop.commands.disaster.server import Seen
from backstop.errors import (
    LeaseHeldError,
    RestoreError,
    SourceBusyError,
    SourceError,
    SourceUnavailableError,
    StorageUnavailableError,
)
from backstop.model.incident import EventKind
from backstop.postgres.connection import ClusterConnection
from backstop.reports.journal import attempts_of
from backstop.repository.incidents import IncidentJournal
from tests.lost_files import AS_IT_WAS, LostFiles, content

if TYPE_CHECKING:
    from collections.abc import Iterator

VERB = "recover-from-disaster"
SLOW = SourceUnavailableError("db1: timeout expired")
PASSWORD = SourceError("db1: password authentication failed (SQLSTATE 28P01)")
FULL = SourceBusyError("db1: too many connections")
WITHOUT_FILES = SourceError("db1: could not open file global/pg_filenode.map (SQLSTATE 58P01)")


@pytest.fixture
def live(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    for name in ("base", "global", "pg_wal"):
        (data / name).mkdir(parents=True)
    (data / "PG_VERSION").write_text("16")
    return data


@pytest.fixture
def look(live: Path, monkeypatch: pytest.MonkeyPatch):
    def looked(answer: Seen | Exception, *, known_as: str = "7") -> cluster.Found:
        def ask(_: ClusterConnection) -> Seen:
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(cluster, "ask_server", ask)
        base = SimpleNamespace(manifest=SimpleNamespace(system_id=known_as))
        listing = SimpleNamespace(base_backups=[base], dumps=[])
        repository = SimpleNamespace(name="near", catalog=SimpleNamespace(backups=lambda: listing))
        component = ClusterComponent(
            reader=ClusterConnection("db1", 5432, "reader", "calibrify"),
            live=live,
            commands=None,
            settings=None,
            replication=None,
            slot="",
            clock=None,
            progress=None,
        )
        return component.look(Sources("calibrify", [repository], lambda: None))

    return looked


@pytest.mark.parametrize("error", [SLOW, PASSWORD, FULL])
def test_a_server_that_cannot_be_asked_is_not_lost_while_its_files_are_there(look, error):
    assert look(error).condition is Condition.UNKNOWN


def test_whoever_cannot_ask_a_server_learns_what_to_do_next(look):
    assert any("start it" in line for line in look(SLOW).details)


@pytest.mark.parametrize("answer", [PASSWORD, FULL, Seen("7", 12)])
def test_a_server_that_can_read_its_own_files_has_them_wherever_we_look_for_them(look, live, answer):
    shutil.rmtree(live)

    assert look(answer).condition is Condition.UNKNOWN


@pytest.mark.parametrize("answer", [SLOW, WITHOUT_FILES])
def test_a_server_without_its_files_is_gone(look, live, answer):
    shutil.rmtree(live)

    assert look(answer).condition is Condition.GONE


def test_another_cluster_on_the_port_says_nothing_about_ours(look):
    found = look(Seen("8", 12))

    assert found.condition is Condition.UNKNOWN
    assert "cluster 8 answers" in found.sentence
    assert "port" in found.sentence


def test_what_lies_on_a_disk_that_is_not_mounted_is_not_lost(look, live, tmp_path, monkeypatch):
    fstab = tmp_path / "fstab"
    fstab.write_text(f"# disks\nUUID=1 / ext4 defaults 0 1\nUUID=2 {tmp_path}/data ext4 noauto 0 2\n")
    monkeypatch.setattr("backstop.commands.disaster.unmounted.FSTAB", fstab)
    shutil.rmtree(live)
    live.mkdir()

    found = look(SLOW)

    assert found.condition is Condition.UNKNOWN
    assert any(f"{live} of /etc/fstab is not mounted" in line for line in found.details)


# -- Files ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Iterator[LostFiles]:
    with pytest.MonkeyPatch.context() as patch:
        yield LostFiles(tmp_path_factory.mktemp("lost"), patch)


@pytest.fixture
def lost(made) -> LostFiles:
    made.reset()
    return made


def state_of_media(assessment) -> str:
    return next(one["state"] for one in assessment["components"] if one["component"] == "tree:media")


def test_work_that_was_done_since_the_newest_backup_is_no_damage(lost):
    (lost.media / "c.jpg").write_text("c")
    lost.text("back-up-files", "--tree", "media")
    (lost.media / "a.jpg").write_text("retouched")

    assessment = lost.disasters().declare("the database is slow").assess()

    assert state_of_media(assessment) == "unknown"
    assert "tree:media" not in assessment["lost"]


def test_files_on_a_disk_that_is_not_mounted_are_not_lost(lost, tmp_path, monkeypatch):
    fstab = tmp_path / "fstab"
    fstab.write_text(f"UUID=2 {lost.media.parent} ext4 defaults 0 2\n")
    monkeypatch.setattr("backstop.commands.disaster.unmounted.FSTAB", fstab)
    lost.media.rename(lost.media.with_name("hidden"))

    assert state_of_media(lost.disasters().declare("media are away").assess()) == "unknown"


def test_what_is_there_again_when_its_turn_comes_is_not_replaced(lost):
    away = lost.media.with_name("unmounted")
    lost.media.rename(away)
    disaster = lost.disasters().declare("the disk of media is away")
    disaster.assess()
    disaster.choose("newest", components=["tree:media"])
    away.rename(lost.media)
    (lost.media / "new.jpg").write_text("newer than every backup")

    with pytest.raises(RestoreError, match="is whole now") as refused:
        disaster.recover("tree:media")

    assert "--skip recover:tree:media" in refused.value.hint
    assert (lost.media / "new.jpg").exists()
    disaster.recover("tree:media", redo=True)
    assert content(lost.media) == AS_IT_WAS


def test_what_was_written_behind_a_swap_whose_end_could_not_be_noted_is_kept(lost, monkeypatch):
    shutil.rmtree(lost.media)
    disaster = lost.chosen()
    append = IncidentJournal.append

    def refusing(self, incident, kind, data):
        if kind is EventKind.STEP_ENDED:
            raise StorageUnavailableError("no repository answers")
        return append(self, incident, kind, data)

    with monkeypatch.context() as patch:
        patch.setattr(IncidentJournal, "append", refusing)
        with pytest.raises(StorageUnavailableError):
            disaster.recover("tree:media")
    (lost.media / "a.jpg").write_text("written since")
    monkeypatch.setattr("backstop.commands.disaster.stepping.lives", lambda _: False)

    done = lost.disasters().open().recover("tree:media")

    assert (lost.media / "a.jpg").read_text() == "written since"
    assert any("nothing was restored again" in note for note in done["facts"]["notes"])


def test_of_two_who_begin_in_the_same_moment_nobody_puts_anything_in_place_twice(lost, monkeypatch):
    shutil.rmtree(lost.media)
    disaster = lost.chosen()
    other = lost.disasters(by="bob@test").open()
    append, begun = IncidentJournal.append, []

    def beside(self, incident, kind, data):
        if kind is EventKind.STEP_BEGAN and not begun:
            begun.append(append(other.journal, incident, kind, {**data, "by": "bob@test"}))
        return append(self, incident, kind, data)

    monkeypatch.setattr(IncidentJournal, "append", beside)

    with pytest.raises(LeaseHeldError, match="begun by bob@test"):
        disaster.recover("tree:media")

    assert not lost.media.exists()
    # The other one's try counts, and ours never was.
    step = disaster.state().step("recover:tree:media")
    assert (step.run, step.tries) == (begun[0].uid, 1)
    assert disaster.state().recovered() == {}
    [attempt] = [one for one in attempts_of(disaster.events()) if one.step == "recover:tree:media"]
    assert attempt.ended_at is None


def test_a_step_that_another_process_is_seen_to_do_is_not_done_again_whatever_somebody_says(lost):
    disaster = lost.chosen()
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            boot, space, *_ = this_process()["process"]
            started = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
            noted = {"host": "here", "process": [boot, space, process.pid, started]}
            disaster.journal.append(
                disaster.incident_id,
                EventKind.STEP_BEGAN,
                {"step": "recover:tree:media", "by": "bob", **noted},
            )
            with pytest.raises(LeaseHeldError, match="is being done by bob"):
                disaster.recover("tree:media", redo=True)
        finally:
            process.kill()
    disaster.recover("tree:media")


def test_a_database_that_nobody_could_look_at_is_not_said_to_be_well(lost):
    shutil.rmtree(lost.media)
    disaster = lost.chosen()

    assert carry_out(disaster) == {}

    assert disaster.state().left() == ["dump"]
    assert "not everything is back" in disaster.status()["outcome"]


def test_nobody_is_told_that_all_is_well_while_the_database_is_silent(lost):
    shutil.rmtree(lost.media)
    lost.text(VERB, "--declare", "the\n\x1b[31mdisk\n# died")
    said = lost.text(VERB, "--status")[0]
    assert "next " in said
    assert "--options" in said
    assert "said at" not in said
    assert "disk # died" in said
    lost.text(VERB, "--options")
    assert "--choose OPTION" in lost.text(VERB, "--status")[0]
    lost.text(VERB, "--choose", "newest")
    assert "`--run` does what is left" in lost.text(VERB, "--status")[0]

    _, told = lost.text(VERB, "--run", "--yes", code=1)

    assert "validated," not in told
    assert "not everything is back: the" in told
    assert "not back" in lost.text(VERB, "--status", "--incident", only(lost))[0]


def only(lost) -> str:
    [incident] = lost.disasters().journal.incidents()
    return incident


# -- An incident that somebody forgot ------------------------------------------------------------------------


def months_ago() -> datetime:
    return datetime.now(timezone.utc) - timedelta(days=90)


def test_an_incident_of_months_ago_lends_its_plan_and_clock_to_no_new_disaster(lost):
    old = lost.chosen(clock=months_ago)
    (lost.media / "new.jpg").write_text("of last week")

    for flags in (["--yes"], ["--run", "--yes"], ["--options"], ["--choose", "newest"]):
        error = lost.run(VERB, *flags, code=2)["error"]
        assert f"{old.incident_id} (the disk of media died) is still open" in error["message"]
        assert f"--incident {old.incident_id} --close" in error["hint"]

    for flags in (["--run", "--yes"], ["--run", "--step", "recover:tree:media"]):
        named = lost.run(VERB, *flags, "--incident", old.incident_id, code=1)["error"]
        assert "was assessed at" in named["message"]
        assert f"--incident {old.incident_id} --choose" in named["hint"]
    assert (lost.media / "new.jpg").exists()


def test_where_nothing_is_lost_nothing_is_done_and_no_incident_stays_open(lost):
    error = lost.run(VERB, "--yes", code=3)["error"]

    assert "nothing is damaged" in error["message"]
    assert "it cannot be told of dump" in error["message"]
    assert "--component database" in error["hint"]
    assert lost.disasters().journal.open_incidents() == []
    assert lost.told == []
