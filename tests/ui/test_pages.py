"""The Recoverability pages, as they are answered: what they say, well-formed, and never anybody's markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient

from backstop.errors import BackstopError, ConfigurationError, SourceUnavailableError
from backstop.repository.inventory import Inventory
from backstop.targets.check import check_text
from backstop.ui.auth import may_look
from backstop.ui.pages import pages
from backstop.ui.rendering import TEMPLATES
from tests.fleet import name_of
from tests.fleet_targets import targets_yaml
from tests.fleet_troubles import TROUBLES
from tests.ui.people import Doors, Person

pytestmark = pytest.mark.integration

NAMES = {trouble.name: name_of(number) for number, trouble in enumerate(TROUBLES)}
HOSTILE = "</title><script>alert('it\"s')</script>&amp;"
_VOID = {"meta", "link", "input", "br"}


class Checked(HTMLParser):
    """Every element that is opened is closed, in order; ids are unique; what scripts and styles there are."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.loaded: list[str] = []
        self.inline: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []
        assert len(self.ids) == len(set(self.ids))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        assert len(given) == len(attrs), f"<{tag}> has an attribute twice"
        self.ids += [given["id"]] if "id" in given else []
        self.inline += [name for name in given if name == "style" or name.startswith("on")]
        self.loaded += [
            given[name] for name in ("src", "href") if name in given and tag in ("script", "link")
        ]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def configuration_of(names):
    text = targets_yaml(names)
    configuration, mistakes = check_text(text if names else text.replace("targets:", "targets: {}"))
    assert not mistakes
    return configuration


def client_of(connection, names, now, *, reads=None, **airflow):
    """The pages alone, at their usual place, for somebody who sees all; what is raised is raised.

    :param names: of targets, or a configuration. :param reads: DAGs; None: all.
    :param airflow: what is asked of it.
    """
    app = FastAPI()
    pages_app = FastAPI()
    configuration = configuration_of(names) if isinstance(names, list | tuple) else names
    look = may_look(Doors(everybody=Person("ada", reads)), lambda: configuration)
    pages_app.include_router(
        pages(
            inventory=lambda: connection, configuration=lambda: configuration, clock=lambda: now, **airflow
        ),
        dependencies=[Depends(look)],
    )
    app.mount("/backstop", pages_app)
    return TestClient(app)


@pytest.fixture(scope="session")
def client(fleet, fleet_now):
    with client_of(fleet, list(NAMES.values()), fleet_now) as client:
        yield client


@pytest.fixture
def read(client):
    def read(path=""):
        answer = client.get(f"/backstop/{path}")
        assert answer.status_code == 200
        return answer.text

    return read


def words(page):
    """What is read, without the markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


@pytest.mark.parametrize("trouble", NAMES)
def test_the_page_of_every_trouble_is_well_formed_and_loads_nothing_from_elsewhere(read, trouble):
    checked = Checked(read(f"targets/{NAMES[trouble]}?days=90"))

    assert checked.inline == []
    assert "/backstop/static/backstop.css" in checked.loaded
    assert all(one == "data:," or one.startswith("/backstop/static/") for one in checked.loaded)


def test_the_overview_is_well_formed_and_names_all_targets_the_worst_first(read):
    page = read()

    Checked(page)
    rows = re.findall(r'<tr data-name="([^"]+)"', page)
    assert set(rows) == set(NAMES.values())
    assert rows[0] == NAMES["never backed up"]
    assert rows[-1] == NAMES["none"]


def test_the_word_comes_first_and_every_tone_has_a_shape_of_its_own(read):
    page = read()

    shapes = dict(re.findall(r'<strong class="word (\w+)"[^>]*><svg[^>]*>(.*?)</svg>', page))
    assert set(shapes) == {"good", "warning", "critical", "unknown"}
    assert len(set(shapes.values())) == 4


def test_what_was_last_seen_long_ago_is_not_shown_as_if_it_were_now(read):
    (row,) = re.findall(rf'<tr data-name="{NAMES["stale"]}".*?</tr>', read(), re.DOTALL)

    assert 'class="word unknown"' in row
    assert "good" not in row
    assert "last known to" in words(row)
    assert re.search(r"[\d.]+ s then", words(row))


def test_a_target_is_found_by_a_part_of_its_name(read):
    assert re.findall(r'<tr data-name="([^"]+)"', read("?q=calib")) == ["calibrify"]
    assert "No target's name contains “nobody”." in words(read("?q=nobody")).replace("&#39;", "'")


def test_a_target_shows_what_is_there_what_was_found_and_what_goes(read):
    said = words(read(f"targets/{NAMES['late']}"))

    assert "the dump due at 01:00 three days ago is not there" in said
    assert "Next: look into back_up_database: is it paused?" in said
    assert "No drill recorded." in said
    assert "10 of 12 came as foretold, half at most 11 % off" in said
    assert "Next to expire" in said


def test_the_timeline_shows_the_gap_with_its_reason_and_its_times(read):
    page = read(f"targets/{NAMES['gap']}")

    assert "gap: no moment from 2026-11-17 07:30:07Z to 2026-11-19 03:00:" in page
    assert page.count('class="gap"') == 2


def test_a_window_leads_to_the_restore_of_its_last_moment_also_without_a_script(read):
    assert 'href="/backstop/targets/calibrify/restore?at=2026-11-26T14%3A30%3A06Z"' in read(
        "targets/calibrify"
    )


def test_the_table_has_every_backup_that_the_drawing_has(read):
    page = read("targets/calibrify?days=365")

    drawing, rest = page.split('id="after-timeline"')
    in_drawing = set(re.findall(r"backups/([0-9TZ]+-[a-z-]+)", drawing.split('id="timeline"')[1]))
    in_tables = set(re.findall(r"backups/([0-9TZ]+-[a-z-]+)", rest))
    assert in_drawing
    assert in_drawing <= in_tables


def test_a_backup_says_where_it_is_what_proved_it_and_why_it_is_kept(read, fleet):
    with fleet.connect() as session:
        (label,) = session.execute(
            "SELECT label FROM public.backup_inventory "
            "WHERE target = 'calibrify' AND kind = 'dump' AND status = 'proven' "
            "ORDER BY finished_at DESC LIMIT 1"
        ).fetchone()

    page = read(f"targets/calibrify/backups/{label}")

    Checked(page)
    said = words(page)
    assert "not older than 30 days (keep_for)" in said
    assert "matched in local" in said
    assert f"calibrify/meta/manifests/{label}.json" in said


@pytest.mark.parametrize("path", ["targets/unheard-of", "targets/calibrify/backups/20200101T010000Z-dump"])
def test_what_is_not_there_says_so_with_the_next_step(client, path):
    with pytest.raises(BackstopError) as raised:
        client.get(f"/backstop/{path}")

    assert raised.value.hint


def test_before_the_first_watch_it_says_what_to_do(database, fleet_now):
    Inventory(database).migrate()
    with client_of(database, ["calibrify"], fleet_now) as client:
        page = client.get("/backstop/").text
        target = client.get("/backstop/targets/calibrify").text

    assert "No watch has run yet" in page
    assert "unpause the DAG watch_backups" in words(page)
    assert "never proven" not in words(page)
    Checked(target)
    assert "python -m backstop watch-backups --target calibrify" in words(target)


def test_without_targets_it_says_what_to_do(database, fleet_now):
    Inventory(database).migrate()
    with client_of(database, [], fleet_now) as client:
        page = client.get("/backstop/").text

    Checked(page)
    assert "check-targets" in page


def test_an_inventory_without_tables_is_told_from_one_that_does_not_answer(database, fleet_now):
    with (
        client_of(database, ["calibrify"], fleet_now) as client,
        pytest.raises(ConfigurationError, match="lacks tables") as raised,
    ):
        client.get("/backstop/")
    assert "migrate-inventory" in raised.value.hint

    from dataclasses import replace

    with (
        client_of(replace(database, port=1), ["calibrify"], fleet_now) as client,
        pytest.raises(SourceUnavailableError),
    ):
        client.get("/backstop/")


def test_nothing_that_others_wrote_becomes_markup(database, fleet_now):
    """Sentences of findings, reasons of holds, differences of proofs, labels: all is text."""
    Inventory(database).migrate()
    with database.connect() as session:
        for table, columns, values in (
            (
                "backup_finding",
                "target, check_name, subject, level, sentence, next_step, opened_at, level_since, "
                "last_seen_at",
                ["calibrify", "size", HOSTILE, "critical", HOSTILE, HOSTILE, *[fleet_now] * 3],
            ),
            (
                "backup_inventory",
                "target, label, repository, repository_location, kind, backup_type, status, filename, "
                "checksum, "
                "started_at, finished_at, size_bytes, summary",
                ["calibrify", "20261123T010000Z-dump", HOSTILE, HOSTILE, "dump", HOSTILE, "proven", HOSTILE,
                 HOSTILE, fleet_now, fleet_now, 1, f'{{"{HOSTILE.replace(chr(34), "")}": 1}}'],
            ),
            (
                "backup_proof",
                "target, label, repository, manifest_sha256, started_at, finished_at, matched, differences, "
                "seconds, checks, server_version, isolation, host",
                ["calibrify", "20261123T010000Z-dump", HOSTILE, "x", fleet_now, fleet_now, False, [HOSTILE],
                 "{}", "{}", 180004, HOSTILE, HOSTILE],
            ),
            (
                "backup_hold",
                "target, label, repository, number, document_sha256, reason, who, damage",
                ["calibrify", "20261123T010000Z-dump", HOSTILE, 1, "x", HOSTILE, HOSTILE, HOSTILE],
            ),
        ):  # fmt: skip
            marks = ", ".join(["%s"] * len(values))
            session.execute(f"INSERT INTO public.{table} ({columns}) VALUES ({marks})".encode(), values)
    with client_of(database, ["calibrify"], fleet_now) as client:
        for path in (
            "",
            "targets/calibrify",
            "targets/calibrify/backups/20261123T010000Z-dump",
            f"?q={HOSTILE}",
        ):
            page = client.get(f"/backstop/{path}").text
            Checked(page)
            assert "<script>alert" not in page
            assert "&lt;script&gt;alert" in page or not path


def test_only_pages_that_say_what_is_so_now_load_themselves_anew(read, client, fleet):
    """A page that answers a form would send it again."""
    with fleet.connect() as session:
        (label,) = session.execute(
            "SELECT label FROM public.backup_inventory WHERE target = 'calibrify' LIMIT 1"
        ).fetchone()

    live = [
        " data-live>" in read(path)
        for path in ("", "targets/calibrify", f"targets/calibrify/backups/{label}")
    ]

    assert live == [True, True, False]
    assert (
        "data-live" not in (TEMPLATES / "restore.html").read_text() + (TEMPLATES / "started.html").read_text()
    )


def test_no_browser_keeps_a_page_that_says_what_is_so_now(client):
    assert client.get("/backstop/").headers["cache-control"] == "no-store"


def test_of_a_target_that_no_watch_has_seen_nothing_is_said_of_proofs(client):
    page = client.get(f"/backstop/targets/{NAMES['never watched']}").text

    assert "no watch has seen it yet" in page
    assert "never proven" not in page.partition("</section>")[0]
