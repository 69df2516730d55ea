"""What people see: lists, the forms of restores of a database and of files, approvals, finished graphs.

The pictures go to BACKSTOP_SCREENS, when it names a folder, for somebody to look at.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import pytest

from embedded import files_demo
from embedded.demo import RESTORE, TARGET, VERIFY
from tests.airflow.browsing import picture, signed_in
from tests.chromium import needs_chromium

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

    from tests.airflow.conftest import Scene

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.browser,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("airflow"),
    needs_chromium,
]


def test_the_list_of_dags_reads_as_what_can_be_done(scene: Scene, browser: Browser) -> None:
    with signed_in(browser, scene, "admin") as page:
        page.goto("/dags")
        for name in ("Back up calibrify", "Verify backups of calibrify", "Restore a database"):
            page.get_by_text(name, exact=True).first.wait_for()
        page.get_by_text("Swap a database back", exact=True).first.wait_for()
        assert page.get_by_text("Import Error").count() == 0
        picture(page, "dags")


def test_a_restore_is_chosen_approved_and_followed_in_the_browser(scene: Scene, browser: Browser) -> None:
    # The form shows the newest, which others may have just made.
    scene.admin.wait(scene.admin.trigger(VERIFY))
    run = scene.admin.trigger(RESTORE, {"target": TARGET})
    address = f"/dags/{RESTORE}/runs/{run.run_id}"
    with signed_in(browser, scene, "admin") as page:
        scene.admin.question(run, "choose_backup")
        page.goto(f"{address}/tasks/choose_backup/required_actions")
        page.get_by_text(f"Which backup of {TARGET}?").wait_for()
        page.get_by_text("local: proven; s3: proven").first.wait_for()
        picture(page, "restore-form")
        page.get_by_role("button", name="Plan this restore").click()
    with signed_in(browser, scene, "approver") as page:
        scene.approver.question(run, "approve")
        page.goto(f"{address}/tasks/approve/required_actions")
        # The newest, whichever that is by now.
        asked = re.compile(rf"Replace the database of {TARGET} by backup \d+T\d+Z-dump\?")
        page.get_by_text(asked).wait_for()
        page.get_by_text("admin cannot approve it").wait_for()
        picture(page, "approval")
        page.get_by_role("button", name="Approve", exact=True).click()
        scene.approver.require_success(run)
        page.goto(address)
        page.get_by_label("Graph").first.click()
        page.locator(".react-flow").get_by_text("restore_beside").first.wait_for()
        picture(page, "finished-graph")


@pytest.fixture
def lost_file(scene: Scene) -> Iterator[tuple[Path, str]]:
    """A file of the configuration that somebody removed, and the backup that has it.

    It is back afterwards whatever came of the restore: others restore, drill and count the same files.
    """
    path = scene.stack.home.host / files_demo.SETTINGS
    if not path.exists():
        scene.demo.files.write()
    dag_id = files_demo.back_up_dag(files_demo.CONFIG)
    scene.admin.wait_for_dag(dag_id)
    run = scene.admin.trigger(dag_id)
    scene.admin.require_success(run)
    label = scene.admin.result(run, "back_up")["label"]
    lost = scene.stack.home.root / f"{path.name}.lost"
    path.rename(lost)
    try:
        yield path, label
    finally:
        if path.exists():
            lost.unlink(missing_ok=True)
        else:
            lost.rename(path)


def test_a_lost_file_is_asked_for_approved_and_back_through_forms_alone(
    scene: Scene, browser: Browser, lost_file: tuple[Path, str]
) -> None:
    path, label = lost_file
    with signed_in(browser, scene, "admin") as page:
        page.goto(f"/dags/{files_demo.RESTORE}")
        page.get_by_label("Trigger Dag").first.click()
        form = page.get_by_role("dialog")
        for title in ("Target", "Tree", "Backup", "Only", "What to do", "Destination", "Read it from"):
            form.locator("label").filter(has_text=title).first.wait_for()
        form.locator("#element_backup").fill(label)
        picture(page, "restore-files-form")
        trigger = form.get_by_role("button", name="Trigger", exact=True)
        trigger.scroll_into_view_if_needed()
        picture(page, "restore-files-form-end")
        trigger.click()
        page.wait_for_url(re.compile("/runs/"))
        (run,) = [run for run in scene.admin.runs(files_demo.RESTORE) if run.run_id in unquote(page.url)]
    address = f"/dags/{files_demo.RESTORE}/runs/{quote(run.run_id)}"
    with signed_in(browser, scene, "approver") as page:
        scene.approver.question(run, "approve")
        page.goto(f"{address}/tasks/approve/required_actions")
        page.get_by_text(f"Replace config of {TARGET} by backup {label}?").wait_for()
        page.get_by_text("admin cannot approve it").wait_for()
        page.get_by_text(re.compile(r"everything: \d+ files, \d+\.\d kB")).first.wait_for()
        picture(page, "restore-files-approval")
        page.get_by_role("button", name="Approve", exact=True).click()
        scene.approver.require_success(run)
        page.goto(address)
        page.get_by_label("Graph").first.click()
        page.locator(".react-flow").get_by_text("restore_beside").first.wait_for()
        picture(page, "restore-files-finished")
        page.goto(f"{address}/tasks/plan")
        page.get_by_text(path.name).first.wait_for()
        picture(page, "restore-files-plan")
    assert path.is_file()


def test_the_runbook_page_is_one_click_away(scene: Scene, browser: Browser) -> None:
    with signed_in(browser, scene, "admin") as page:
        page.goto(f"/dags/{RESTORE}")
        page.get_by_label("Dag Docs").first.click()
        page.get_by_text("When a task is red").wait_for()
        picture(page, "runbook")
