"""Reports in a real Chromium: on a wide and a narrow screen, light and dark, and on paper."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from backstop.reports import render_cover, render_report
from tests.chromium import CONTRAST, needs_chromium
from tests.evidenced import (
    DRILL,
    FAILED_DRILL,
    FAILED_PROOF,
    INCIDENT,
    NOON,
    PROOF,
    evidence,
    signed_off_later,
)
from tests.reports.test_self_contained import LONG, spoiled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, needs_chromium, pytest.mark.xdist_group("reports_in_browser")]

PAPER = 680
"""CSS pixels between the margins of A4."""
RECORDS = [
    evidence(one, number=number) for number, one in enumerate((PROOF, DRILL, FAILED_DRILL, INCIDENT), 1)
]
REPORTS = {
    "drill": render_report(evidence(DRILL)),
    "failed drill": render_report(evidence(FAILED_DRILL)),
    "incident": render_report(evidence(INCIDENT)),
    "proof": render_report(evidence(PROOF)),
    "failed proof": render_report(evidence(FAILED_PROOF)),
    "sign-off": render_report(signed_off_later(DRILL.drill_id, DRILL.sign_off)),
    "cover": render_cover(
        target="calibrify",
        begins_at=NOON - timedelta(days=40),
        ends_at=NOON + timedelta(days=1),
        records=RECORDS,
        verdict=["record 3 of repository s3 is absent"],
        heads={},
        names={},
        reports={},
        exported_at=NOON + timedelta(days=2),
    ),
    "drill of endless words": render_report(evidence(spoiled(DRILL, LONG))),
    "incident of endless words": render_report(
        evidence(replace(spoiled(INCIDENT, LONG), events=INCIDENT.events))
    ),
}
OUTSIDE = """() => [...document.querySelectorAll("main *")]
  .filter((e) => !e.closest("svg, .unseen, .skip") && e.getBoundingClientRect().right > innerWidth + 1)
  .map((e) => `${e.tagName}.${e.className}: ${e.textContent.trim().slice(0, 40)}`)"""


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_fits_every_screen_and_paper_and_can_be_read(page: Page, name: str) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("request", lambda request: complaints.append(request.url))
    page.set_content(REPORTS[name])

    for width, scheme in ((1200, "light"), (400, "dark")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(media="screen", color_scheme="dark" if scheme == "dark" else "light")
        over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert over <= 0, width
        assert page.evaluate(CONTRAST) == [], scheme

    page.set_viewport_size({"width": PAPER, "height": 900})
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate(OUTSIDE) == [], "cut off on paper"
    assert complaints == []


def test_a_printed_drill_takes_few_pages(page: Page) -> None:
    page.emulate_media(media="screen", color_scheme="light")
    page.set_content(REPORTS["drill"])

    printed = page.pdf(prefer_css_page_size=True)

    assert len(re.findall(rb"/Type\s*/Page\b", printed)) in (2, 3, 4)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_phases_differ_in_lightness_and_not_in_colour_alone(page: Page, scheme: str) -> None:
    page.emulate_media(media="screen", color_scheme="dark" if scheme == "dark" else "light")
    page.set_content(REPORTS["drill"])

    fetch, replay, restore = page.evaluate(
        """() => ["fetch", "replay", "restore"].map((look) => {
          const bar = document.querySelector(`.legend .bar.${look}`);
          const [r, g, b] = getComputedStyle(bar).fill.match(/\\d+/g).map(Number);
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        })"""
    )
    assert fetch - replay > 40
    assert replay - restore > 25
