"""The pages in a real Chromium: nothing runs over the edge, everything can be read, nothing is blocked."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest

from tests.chromium import CONTRAST, needs_chromium
from tests.ui.conftest import NOW
from tests.ui.served import served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from backstop.postgres.connection import ClusterConnection
    from backstop.targets import Configuration

pytestmark = [
    pytest.mark.integration,
    pytest.mark.browser,
    needs_chromium,
    pytest.mark.xdist_group("pages_in_browser"),
]

PAGES = (
    "",
    "targets/calibrify",
    "targets/calibrify/restore?at=2026-11-23T11:30:00Z&mode=cut%20over",
    "targets/calibrify/restore?at=nonsense",
    "targets/none",
    # As tests/fleet_drills.py dates them.
    "targets/calibrify/drills/drill-20261111T120000Z-1f3a",
    "targets/system-001/drills/drill-20261118T120000Z-77aa",
)


@pytest.fixture(scope="module")
def address(known_inventory: ClusterConnection, configuration: Configuration) -> Iterator[str]:
    with served(known_inventory, configuration, now=NOW) as address:
        yield address


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (1400, "light"),
        (800, "dark"),
        pytest.param(1400, "dark", marks=pytest.mark.long),
        pytest.param(800, "light", marks=pytest.mark.long),
    ],
)
def test_pages_fit_can_be_read_and_break_no_rule_of_their_own(
    browser: Browser, address: str, width: int, scheme: str
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page = context.new_page()
    complaints: list[str] = []
    page.on(
        "console",
        lambda message: (
            complaints.append(message.text) if "Content Security Policy" in message.text else None
        ),
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.clock.set_fixed_time(datetime(2026, 11, 23, 12, 0, 5, tzinfo=timezone.utc))
    for path in PAGES:
        page.goto(address + path)
        over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert over <= 0, path
        assert page.evaluate(CONTRAST) == [], path
        assert complaints == [], path
    context.close()


def test_a_page_that_stays_open_takes_back_everything_that_was_good(browser: Browser, address: str) -> None:
    page = browser.new_page()
    page.clock.install(time=NOW)
    for path in ("", "targets/calibrify"):
        page.goto(address + path)
        assert page.locator("main .good").count() > 2
        page.keyboard.press("Shift")  # somebody is there: it is not loaded anew
        page.clock.fast_forward("16:00")
        page.clock.run_for(2000)
        assert page.locator("main .good").count() == 0
        assert page.get_by_text("not known any more").first.is_visible()
    page.close()


def test_without_scripts_a_page_that_says_what_is_so_now_loads_itself_anew(
    browser: Browser, address: str
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    for path, live in (("", 1), ("targets/calibrify", 1), ("targets/calibrify/restore", 0)):
        page.goto(address + path)
        assert page.locator("meta[http-equiv=refresh]").count() == live
    context.close()
