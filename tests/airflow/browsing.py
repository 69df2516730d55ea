"""What every test does that looks at Airflow in a browser."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from tests.airflow.conftest import Scene


@contextmanager
def signed_in(browser: Browser, scene: Scene, user: str) -> Iterator[Page]:
    """A page of somebody who has signed in as people do."""
    server = scene.stack.airflow()
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, base_url=server.url)
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto("/auth/login")
    page.fill("input[name=username]", user)
    page.fill("input[name=password]", server.passwords()[user])
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/($|\?|dags|home)"))
    yield page
    context.close()


def picture(page: Page, name: str) -> None:
    """For somebody to look at, where BACKSTOP_SCREENS names a folder."""
    page.wait_for_load_state("networkidle")
    if folder := os.environ.get("BACKSTOP_SCREENS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png")
