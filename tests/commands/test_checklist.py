"""The monthly checklist: five items, none of which stops another, and *not done* is not *failed*."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest

from backstop.commands.checklist import ChecklistSettings, RestoredDatabase, RestoredFiles, run_checklist
from backstop.commands.progress import Silent
from backstop.commands.questions import Query
from backstop.commands.trees.expected import ExpectedFiles
from backstop.errors import IntegrityError, ScratchError
from backstop.model.drill import CHECKLIST
from backstop.model.measured import Outcome
from backstop.postgres.connection import ClusterConnection
from backstop.targets.drill import DrillApplication
from backstop.targets.probes import CommandProbe, SqlProbe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backstop.model.measured import CheckedItem
    from embedded.postgres import EmbeddedPostgres

NOON = datetime(2026, 11, 26, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
NO_SERVER = ClusterConnection(host="/nonexistent", port=5432, user="postgres", dbname="calibrify")


@contextmanager
def served(connection: ClusterConnection = NO_SERVER) -> Iterator[ClusterConnection]:
    yield connection


def restored_database(connection: ClusterConnection = NO_SERVER, **changes: Any) -> RestoredDatabase:
    """A dump that equals its fingerprint."""
    values = {
        "component": "dump",
        "label": "20261126T010000Z-dump",
        "serve": lambda: served(connection),
        "dbname": connection.dbname,
        "compare": lambda _: (),
        **changes,
    }
    return RestoredDatabase(**values)


def restored_files(root: Path, **changes: Any) -> RestoredFiles:
    """A tree that equals its list."""
    values = {
        "component": "tree:media",
        "label": "20261126T020000Z-tree-media",
        "root": root,
        "compare": lambda: (),
        "files": 3,
        **changes,
    }
    return RestoredFiles(**values)


def run(
    database: RestoredDatabase | None = None,
    *trees: RestoredFiles,
    application: DrillApplication | None = None,
    **settings: Any,
) -> tuple[CheckedItem, ...]:
    chosen = ChecklistSettings(application=application or DrillApplication(), **settings)
    return run_checklist(database, trees, settings=chosen, progress=Silent())


def of(lines: Sequence[CheckedItem], item: str, component: str | None = None) -> list[CheckedItem]:
    return [one for one in lines if one.item == item and component in (None, one.component)]


def the(lines: Sequence[CheckedItem], item: str, component: str | None = None) -> CheckedItem:
    (one,) = of(lines, item, component)
    return one


def test_every_item_is_answered_in_the_order_of_the_checklist(tmp_path: Path):
    lines = run(restored_database(), restored_files(tmp_path))

    assert list(dict.fromkeys(line.item for line in lines)) == list(CHECKLIST)
    assert not any(line.outcome in (Outcome.FAILED, Outcome.NOT_DONE) for line in lines)


def test_what_a_target_has_nothing_of_is_not_applicable_and_no_failure():
    lines = run(None)

    assert [line.item for line in lines] == list(CHECKLIST)
    assert {line.outcome for line in lines} == {Outcome.NOT_APPLICABLE}


def test_what_is_not_back_fails_once_and_leaves_the_rest_of_it_undone(tmp_path: Path):
    lost = restored_files(
        tmp_path, failure="segment 7 is absent", validators=[["true"]], expected=rows(NO_SERVER)
    )
    lines = run(restored_database(failure="no key opens it"), lost, probes=[probe("true")])

    assert [line.component for line in lines if line.outcome is Outcome.FAILED] == ["dump", "tree:media"]
    undone = [line for line in lines if line.outcome is Outcome.NOT_DONE]
    assert {line.item for line in undone} == set(CHECKLIST) - {"restore"}
    assert all("no key opens it" in one.sentence or "segment 7" in one.sentence for one in undone)


def test_a_database_that_is_not_back_stops_no_look_at_the_files(tmp_path: Path):
    tree = restored_files(tmp_path, validators=[["true"]])
    lines = run(restored_database(failure="no key opens it"), tree)

    assert {line.outcome for line in lines if line.component == "tree:media"} == {Outcome.PASSED}
    assert {line.item for line in lines if line.component == "tree:media"} >= {
        "restore",
        "integrity",
        "permissions",
        "configuration",
    }


def test_a_server_that_does_not_start_leaves_its_items_undone():
    def broken() -> Any:
        raise ScratchError("no room for a socket", hint="make room")

    line = the(run(restored_database(serve=broken)), "integrity")

    assert line.outcome is Outcome.NOT_DONE
    assert line.sentence == "the restored server does not start: no room for a socket"


def test_other_content_fails_integrity_and_other_modes_fail_permissions(tmp_path: Path):
    found = [
        "srv/media/a.jpg: other content in the 512 bytes at 0",
        "srv/media/b.jpg is missing",
        "srv/media/c: mode 0644 instead of 0600",
        "srv/media/d: owner 0:0 instead of 33:33",
        "srv/media/mode 1: it is no file",
    ]
    lines = run(None, restored_files(tmp_path, compare=lambda: found))

    assert the(lines, "integrity").details == (found[0], found[1], found[4])
    assert the(lines, "permissions").details == (found[2], found[3])
    assert {the(lines, item).outcome for item in ("integrity", "permissions")} == {Outcome.FAILED}


def test_files_that_could_not_be_read_again_have_not_been_compared(tmp_path: Path):
    line = the(run(None, restored_files(tmp_path, unread=1)), "integrity")

    assert line.outcome is Outcome.NOT_DONE
    assert line.sentence.startswith("1 of 3 files could not be read again")


def test_files_that_only_have_another_mode_have_their_content(tmp_path: Path):
    lines = run(None, restored_files(tmp_path, compare=lambda: ["a: mode 0644 instead of 0600"]))

    assert the(lines, "integrity").outcome is Outcome.PASSED
    assert the(lines, "permissions").outcome is Outcome.FAILED


def test_what_this_user_may_not_give_is_said(tmp_path: Path):
    said = "the owner could not be set on 3 of the files: a, b, c"
    line = the(run(None, restored_files(tmp_path, not_set=[said])), "permissions")

    assert line.outcome is Outcome.PASSED
    assert line.sentence.endswith("but for what this user may not give")
    assert line.details == (said,)


def test_a_list_that_cannot_be_read_fails_integrity_and_leaves_permissions_undone(tmp_path: Path):
    def damaged() -> Any:
        raise IntegrityError("the list of files is malformed", hint="choose another backup")

    lines = run(None, restored_files(tmp_path, compare=damaged))

    assert the(lines, "integrity").sentence == "the list of files is malformed"
    assert the(lines, "permissions").outcome is Outcome.NOT_DONE


def test_damaged_pages_fail_while_the_rest_is_looked_at(tmp_path: Path):
    def damaged() -> int:
        raise IntegrityError("pages of /scratch/data are damaged", hint="recover from another base backup")

    lines = run(restored_database(pages=damaged), restored_files(tmp_path))

    assert [line.outcome for line in of(lines, "integrity", "dump")] == [Outcome.FAILED, Outcome.PASSED]


def test_differences_from_the_fingerprint_are_named():
    line = the(run(restored_database(compare=lambda _: ["table users: 3 rows instead of 4"])), "integrity")

    assert line.outcome is Outcome.FAILED
    assert line.details == ("table users: 3 rows instead of 4",)


# -- Configuration ---------------------------------------------------------------------------------------


def test_validators_are_told_where_the_files_are_and_each_is_a_line(tmp_path: Path):
    (tmp_path / "etc").mkdir()
    for name in ("a.service", "b.service"):
        (tmp_path / "etc" / name).write_text(name)
    tree = restored_files(
        tmp_path,
        component="tree:config",
        validators=[
            ["cat", "{root}/etc/*.service"],
            [
                "sh",
                "-c",
                'test "$BACKSTOP_TREE_CONFIG" = "$1" && test "$PGHOST" = /nonexistent',
                "sh",
                "{root}",
            ],
            ["sh", "-c", "echo $1/etc: syntax error; exit 1", "sh", "{root}"],
            ["cat", "{root}/etc/*.timer"],
            ["/nowhere/validator"],
            [sys.executable, "/nowhere/check.py", "{root}"],
        ],
    )
    lines = of(run(None, tree), "configuration")

    assert [line.outcome.value for line in lines] == ["passed", "passed"] + 4 * ["failed"]
    assert lines[0].details == ("a.serviceb.service",)
    assert lines[2].details == ("{root}/etc: syntax error",)
    assert lines[3].sentence == "cat: no restored file is called as its arguments say"
    assert lines[4].sentence == "/nowhere/validator cannot be run: No such file or directory"
    assert lines[5].sentence == "/nowhere/check.py exited with 2"


@pytest.mark.parametrize(
    "argument", ["{root}/etc/enabled/*", "--file={root}/etc/enabled/site", "{root}/up/live/site"]
)
def test_a_validator_is_not_led_to_live_files_by_links_that_were_restored(tmp_path: Path, argument: str):
    root, live = tmp_path / "restored", tmp_path / "live"
    (root / "etc/enabled").mkdir(parents=True)
    live.mkdir()
    (live / "site").write_text("all is well")
    (root / "etc/enabled/site").symlink_to(live / "site")
    (root / "up").symlink_to("..")
    line = the(run(None, restored_files(root, validators=[["/bin/true", argument]])), "configuration")

    assert line.outcome is Outcome.FAILED
    assert "would have looked at live files" in line.sentence


def test_a_link_among_restored_files_is_followed(tmp_path: Path):
    (tmp_path / "available").write_text("all is well")
    (tmp_path / "enabled").symlink_to("available")
    line = the(run(None, restored_files(tmp_path, validators=[["cat", "{root}/enabled"]])), "configuration")

    assert line.outcome is Outcome.PASSED


def test_a_validator_that_hangs_is_ended(tmp_path: Path):
    tree = restored_files(tmp_path, validators=[["sleep", "60"]])
    line = the(run(None, tree, validator_timeout=timedelta(seconds=0.2)), "configuration")

    assert line.sentence == "sleep did not end within 0.2 s"


# -- Functionality ---------------------------------------------------------------------------------------


def probe(*command: str) -> CommandProbe:
    return CommandProbe(name=command[0], command=list(command))


def noting(told: Path, what: str, *, then: str = "true") -> list[str]:
    return ["sh", "-c", f'echo {what} "$PGHOST" "$BACKSTOP_TREE_MEDIA" >> {told}; {then}']


def test_the_application_is_started_on_what_was_restored_asked_and_stopped(tmp_path: Path):
    told = tmp_path / "told"
    application = DrillApplication(start=[noting(told, "start")], stop=[noting(told, "stop")])
    lines = run(
        restored_database(),
        restored_files(Path("/r")),
        application=application,
        probes=[probe(*noting(told, "probe"))],
    )

    assert told.read_text().splitlines() == [f"{what} /nonexistent /r" for what in ("start", "probe", "stop")]
    assert [line.outcome for line in of(lines, "functionality")] == [Outcome.PASSED] * 3


def test_an_application_that_does_not_start_is_stopped_all_the_same(tmp_path: Path):
    told = tmp_path / "told"
    application = DrillApplication(start=[noting(told, "start", then="exit 1")], stop=[noting(told, "stop")])
    lines = of(
        run(restored_database(), application=application, probes=[probe("true"), probe("false")]),
        "functionality",
    )

    assert [line.split()[0] for line in told.read_text().splitlines()] == ["start", "stop"]
    assert [line.outcome.value for line in lines] == ["failed", "not done", "not done", "passed"]


def test_an_application_that_cannot_be_stopped_is_a_failure():
    application = DrillApplication(start=[["true"]], stop=[["false"]])
    lines = of(run(restored_database(), application=application), "functionality")

    assert [line.outcome.value for line in lines] == ["passed", "failed"]


def test_where_only_files_were_lost_the_application_is_not_tested(tmp_path: Path):
    line = the(run(None, restored_files(tmp_path), probes=[probe("false")]), "functionality")

    assert line.outcome is Outcome.NOT_APPLICABLE


# -- With a real database --------------------------------------------------------------------------------


def rows(database: ClusterConnection) -> ExpectedFiles:
    return ExpectedFiles("SELECT path FROM photos", PurePosixPath("/srv/media"), lambda: database)


@pytest.fixture
def photos(database: ClusterConnection) -> ClusterConnection:
    """Four rows that each name a file."""
    with database.connect() as session:
        session.execute("CREATE TABLE public.photos (path text)")
        session.execute("INSERT INTO public.photos VALUES ('1'), ('2'), ('3'), ('4'), (NULL)")
    return database


def media(root: Path, *names: str) -> Path:
    folder = root / "srv/media"
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch()
    return root


def live() -> ClusterConnection:
    raise AssertionError("a drill asked the live database")


@pytest.mark.integration
def test_rows_are_compared_with_files_in_the_restored_database_alone(
    photos: ClusterConnection, tmp_path: Path
):
    expected = replace(rows(photos), database=live)
    tree = restored_files(media(tmp_path, "1", "2", "3", "4", "unknown"), expected=expected)
    lines = of(run(restored_database(photos), tree), "integrity", "tree:media")

    assert [line.outcome for line in lines] == [Outcome.PASSED] * 2
    assert lines[1].sentence == "all 4 files that rows name are there"


@pytest.mark.integration
def test_a_database_whose_rows_name_no_file_shows_nothing(photos: ClusterConnection, tmp_path: Path):
    with photos.connect() as session:
        session.execute("TRUNCATE public.photos")
    tree = restored_files(media(tmp_path, "1"), expected=rows(photos))
    line = of(run(restored_database(photos), tree), "integrity", "tree:media")[-1]

    assert line.outcome is Outcome.NOT_APPLICABLE


@pytest.mark.integration
def test_a_file_that_a_row_names_and_the_restore_lacks_is_named(photos: ClusterConnection, tmp_path: Path):
    root = media(tmp_path / "restored", "1", "2", "3", "4")
    # What a link out of the restored tree leads to is not restored.
    (root / "srv/media/more").symlink_to(media(tmp_path / "live", "5") / "srv/media")
    with photos.connect() as session:
        session.execute("INSERT INTO public.photos VALUES ('more/5')")
    line = of(run(restored_database(photos), restored_files(root, expected=rows(photos))), "integrity")[-1]

    assert line.outcome is Outcome.FAILED
    assert line.sentence == "1 of 5 files that rows name are not there"
    assert line.details == ("/srv/media/more/5",)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("names", "rpo", "outcome"),
    [
        (["1", "2", "3"], 2 * HOUR, Outcome.PASSED),
        (["1", "2", "3"], HOUR / 2, Outcome.FAILED),
        (["1"], 2 * HOUR, Outcome.FAILED),
    ],
    ids=["newer rows explain it", "files older than they may be", "too many to be explained"],
)
def test_files_older_than_the_database_may_lack_what_newer_rows_name(
    photos: ClusterConnection, tmp_path: Path, names: list[str], rpo: timedelta, outcome: Outcome
):
    tree = restored_files(media(tmp_path, *names), expected=rows(photos), recovered_to=NOON - HOUR, rpo=rpo)
    line = of(run(restored_database(photos, recovered_to=NOON), tree), "integrity", "tree:media")[-1]

    assert line.outcome is outcome
    assert line.details[-1] == "/srv/media/4"


@pytest.mark.integration
def test_ledger_checks_are_asked_of_the_restored_database(photos: ClusterConnection):
    queries = [Query("SELECT count(*) FROM photos", 5, "photos"), Query("SELECT 1", 2, "sums agree")]
    right, wrong = (
        of(run(restored_database(photos, queries=asked)), "integrity")[-1] for asked in (queries[:1], queries)
    )

    assert (right.outcome, right.sentence) == (
        Outcome.PASSED,
        "1 query got the answer that targets.yaml expects",
    )
    assert wrong.outcome is Outcome.FAILED
    assert wrong.details == ("query 'sums agree' did not give what verify.queries expects",)


@pytest.mark.integration
def test_a_relation_without_its_file_is_found(postgres18: EmbeddedPostgres, photos: ClusterConnection):
    database = restored_database(photos, component="base", compare=None)
    before = of(run(database), "integrity")
    with photos.connect() as session:
        session.execute("CREATE TABLE public.lost AS SELECT 1")
        session.execute("CHECKPOINT")
        (path,) = session.execute("SELECT pg_relation_filepath('public.lost')").fetchone() or ("",)
    (postgres18.data / path).unlink()

    after = of(run(database), "integrity")

    assert before[0].outcome is Outcome.PASSED
    assert after[0].outcome is Outcome.FAILED
    assert after[0].details == (f"public.lost of database {photos.dbname} has no file",)
    assert after[1].outcome is Outcome.NOT_APPLICABLE, "no amcheck here"


@pytest.mark.integration
def test_probes_ask_the_restored_database(photos: ClusterConnection):
    asked = SqlProbe(name="photos", sql="SELECT count(*) FROM photos", expect=5)
    line = the(run(restored_database(photos), probes=[asked]), "functionality")

    assert line.outcome is Outcome.PASSED, line.sentence
