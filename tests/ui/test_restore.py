"""Restore to here: what is shown before, what is started and as whom, what is refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.ui.conftest import Site

pytestmark = pytest.mark.integration

PAGE = "/backstop/targets/calibrify/restore"
MOMENT = "2026-11-23T11:30:00Z"
POINT = {"what": "point", "at": MOMENT, "mode": "beside", "repository": "any"}


def token_of(site: Site, headers: Mapping[str, str], page: str = f"{PAGE}?at={MOMENT}") -> str:
    found = re.search(r'name="token" value="([^"]+)"', site.client.get(page, headers=headers).text)
    assert found is not None
    return found[1]


def send(site: Site, headers: Mapping[str, str], page: str = PAGE, **form: Any) -> Any:
    return site.client.post(page, headers=headers, data={"token": token_of(site, headers), **POINT, **form})


def test_a_click_on_the_timeline_shows_the_whole_plan_before_anything_is_started(site: Site) -> None:
    page = site.client.get(f"{PAGE}?at={MOMENT}", headers=site.as_("ada"))

    assert page.status_code == 200
    assert f'value="{MOMENT}"' in page.text
    assert f"Recover the server of calibrify to {MOMENT}" in page.text
    for question in ("Base backup", "Read from", "Data loss", "Time", "Live data", "Who must agree"):
        assert f'<th scope="row">{question}</th>' in page.text
    assert re.search(r"\d{8}T\d{6}Z-(full|incr), on timeline", page.text)
    assert "30 min of changes as of now" in page.text
    assert "Nobody: nothing live is touched." in page.text
    assert site.asked == []


def test_the_harmless_way_is_offered_first(site: Site) -> None:
    page = site.client.get(f"{PAGE}?at={MOMENT}", headers=site.as_("ada")).text

    for select, first in (("point-mode", "beside"), ("database-mode", "beside"), ("tree-mode-1", "dry run")):
        options = re.search(rf'id="{select}">\s*<option value="([^"]+)"', page)
        assert options is not None, select
        assert options[1] == first


def test_replacing_what_is_live_says_who_must_agree(site: Site) -> None:
    page = site.client.get(f"{PAGE}?at={MOMENT}&mode=cut+over", headers=site.as_("ada")).text

    assert "<b>is replaced</b>" in page
    assert "Somebody other than you has to approve it in Airflow under Required Actions within 1 h" in page


def test_the_run_is_started_through_airflow_with_the_users_own_token(site: Site) -> None:
    answer = send(site, site.as_("ada"), mode="cut over", repository="s3")

    assert answer.status_code == 303
    assert answer.headers["location"] == f"/dags/restore_to_point_in_time/runs/{site.runs[0][1]}"
    assert site.asked == [
        {
            "dag_id": "restore_to_point_in_time",
            "by": "Bearer ada",
            "referer": PAGE,
            "logical_date": None,
            "conf": {"target": "calibrify", "point": MOMENT, "mode": "cut over", "repository": "s3"},
        }
    ]


@pytest.mark.parametrize(
    ("form", "dag_id", "conf"),
    [
        (
            {"what": "database", "label": "newest proven", "mode": "swap"},
            "restore_database",
            {"target": "calibrify", "mode": "swap", "repository": "any"},
        ),
        (
            {"what": "tree", "tree": "media", "label": "latest", "mode": "dry run"},
            "restore_files",
            {"target": "calibrify", "tree": "media", "mode": "dry run", "repository": "any"},
        ),
    ],
)
def test_a_backup_or_a_tree_starts_the_procedure_for_it(
    site: Site, form: dict[str, str], dag_id: str, conf: dict[str, str]
) -> None:
    answer = send(site, site.as_("ada"), at="", **form)

    assert answer.status_code == 303
    (run,) = site.asked
    label = run["conf"].pop("backup_label", None) or run["conf"].pop("backup")
    assert (run["dag_id"], run["conf"]) == (dag_id, conf)
    assert re.fullmatch(r"\d{8}T\d{6}Z-(dump|tree-media)", label)


def test_a_form_that_is_sent_twice_starts_one_run_and_leads_to_it_again(site: Site) -> None:
    ada = site.as_("ada")
    form = {"token": token_of(site, ada), **POINT, "mode": "cut over"}
    first, second = (site.client.post(PAGE, headers=ada, data=form) for _ in range(2))

    assert len(site.asked) == 1
    assert (first.status_code, second.status_code) == (303, 303)
    assert first.headers["location"] == second.headers["location"]


def test_who_asks_for_the_same_again_on_purpose_gets_another_run(site: Site) -> None:
    for _ in range(2):
        assert send(site, site.as_("ada")).status_code == 303

    assert len(set(site.runs)) == 2


@pytest.mark.parametrize(
    "wanted",
    ["what=database&label=newest+proven", "what=tree&tree=media&label=latest", "label=FULL", "at=latest"],
)
def test_what_is_started_is_the_plan_that_was_shown_and_not_what_is_newest_by_then(
    site: Site, wanted: str
) -> None:
    ada = site.as_("ada")
    full = re.search(
        r"backups/(\d{8}T\d{6}Z-full)", site.client.get(PAGE.removesuffix("/restore"), headers=ada).text
    )
    assert full is not None
    page = site.client.get(f"{PAGE}?{wanted.replace('FULL', full[1])}", headers=ada).text
    sent = dict(
        re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.partition('method="get"')[0])
    )
    shown = dict(re.findall(r"<code>(\w+)=([^<]*)</code>", page))
    site.client.post(PAGE, headers=ada, data=sent)

    (run,) = site.asked
    assert run["conf"] == shown
    assert sent["label"] not in ("latest", "newest proven")


def test_in_airflows_frame_the_run_is_a_link_for_the_whole_window(site: Site) -> None:
    answer = send(site, {**site.as_("ada"), "sec-fetch-dest": "iframe"})

    assert answer.status_code == 200
    assert f'href="/dags/restore_to_point_in_time/runs/{site.runs[0][1]}" target="_top"' in answer.text


def test_whoever_may_not_trigger_it_sees_the_plan_without_a_button(site: Site) -> None:
    page = site.client.get(f"{PAGE}?at={MOMENT}", headers=site.as_("eve", triggers=[]))

    assert page.status_code == 200
    assert 'method="post"' not in page.text
    assert "eve may look at this plan, but not start it" in page.text


def test_whoever_may_not_trigger_it_is_refused_with_what_to_ask_for(site: Site) -> None:
    token = token_of(site, site.as_("eve"))
    answer = site.client.post(PAGE, headers=site.as_("eve", triggers=[]), data={"token": token, **POINT})

    assert answer.status_code == 403
    assert "permission to trigger the DAG restore_to_point_in_time" in answer.text
    assert site.asked == []


def test_airflows_own_refusal_is_a_page_too(site: Site) -> None:
    site.answer = (403, {"detail": "Forbidden"})
    answer = send(site, site.as_("ada"))

    assert answer.status_code == 403
    assert "ada may not start restore_to_point_in_time; nothing was started" in answer.text


def test_parameters_that_airflow_does_not_take_are_said(site: Site) -> None:
    site.answer = (400, {"detail": "Invalid input for param point: <b>bad</b>"})
    answer = send(site, site.as_("ada"))

    assert answer.status_code == 422
    assert "Invalid input for param point: &lt;b&gt;bad&lt;/b&gt;" in answer.text


@pytest.mark.parametrize("token", ["", "rubbish", "of somebody else", "of another target"])
def test_a_form_that_our_page_did_not_make_for_this_user_starts_nothing(site: Site, token: str) -> None:
    ada = site.as_("ada")
    if token == "of somebody else":
        token = token_of(site, site.as_("bob"))
    elif token == "of another target":
        token = token_of(site, ada, "/backstop/targets/system-002/restore?label=newest+proven")
    answer = site.client.post(PAGE, headers=ada, data={"token": token, **POINT})

    assert answer.status_code == 403
    assert site.asked == []


@pytest.mark.parametrize(
    "foreign",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_form_sent_by_another_site_starts_nothing(site: Site, foreign: dict[str, str]) -> None:
    answer = send(site, {**site.as_("ada"), **foreign})

    assert answer.status_code == 403
    assert "sent by another site" in answer.text
    assert site.asked == []


def test_a_form_sent_by_our_own_page_is_taken(site: Site) -> None:
    own = {"origin": "http://testserver", "sec-fetch-site": "same-origin"}

    assert send(site, {**site.as_("ada"), **own}).status_code == 303


WRONG = {
    "without a zone": ({"at": "2026-11-23T11:30:00"}, "zone"),
    "to come": ({"at": "2026-11-24T00:00:00Z"}, "in the future"),
    "in no window": ({"at": "2019-01-01T00:00:00Z"}, "no window has it"),
    "before all time": ({"at": "0001-01-01T00:00:00+14:00"}, "is not a time"),
    "after all time": ({"at": "9999-12-31T23:59:59-14:00"}, "is not a time"),
    "no moment": ({"at": "lsn:0/3000060"}, "is no moment"),
    "of no known backup": ({"what": "database", "label": "20200101T000000Z-dump"}, "knows no backup"),
    "of an unknown tree": ({"what": "tree", "tree": "../etc", "label": "latest"}, "has no file tree"),
    "of no mode": ({"mode": "rm -rf"}, "is not possible"),
    "of no repository": ({"repository": "attic"}, "has no repository"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_restored_is_said_in_the_form_and_refused_when_sent(site: Site, case: str) -> None:
    changed, words = WRONG[case]
    ada = site.as_("ada")
    asked = {**POINT, **changed}
    shown = site.client.get(PAGE, headers=ada, params=asked)
    sent = send(site, ada, **asked)

    assert (shown.status_code, sent.status_code) == (422, 422)
    assert words in shown.text
    assert words in sent.text
    assert 'method="post"' not in shown.text
    assert site.asked == []


def test_of_a_target_that_targets_yaml_does_not_name_nothing_is_restored(site: Site) -> None:
    page = site.client.get("/backstop/targets/former/restore?at=latest", headers=site.as_("ada"))

    assert page.status_code == 404
    assert "targets.yaml names no target former" in page.text


@pytest.mark.parametrize("field", ["at", "label", "tree", "mode", "repository", "what"])
def test_whatever_is_typed_is_shown_as_text(site: Site, field: str) -> None:
    evil = '"><script>alert(1)</script>'
    page = site.client.get(PAGE, headers=site.as_("ada"), params={**POINT, field: evil})

    assert page.status_code in (200, 422)
    assert "<script>alert" not in page.text
