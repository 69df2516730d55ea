"""What answers tell the browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ui.conftest import Site

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/targets/calibrify",
        "/targets/calibrify/restore?at=latest",
        "/targets/none",
        "/targets/static/restore",
        "/nothing",
    ],
)
def test_pages_run_no_script_but_our_files_tell_nobody_and_are_not_kept(site: Site, path: str) -> None:
    answer = site.client.get(f"/backstop{path}", headers=site.as_("ada"))

    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers.get_list("cache-control") == ["no-store"]


@pytest.mark.parametrize("path", ["/", "/targets/calibrify", "/targets/calibrify/restore?at=latest"])
def test_no_page_needs_what_its_policy_forbids(site: Site, path: str) -> None:
    page = site.client.get(f"/backstop{path}", headers=site.as_("ada")).text

    assert "style=" not in page
    assert "<style" not in page
    assert "<script>" not in page
    assert " onclick=" not in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page


def test_a_page_that_fails_says_so_with_the_same_headers_and_nothing_of_its_insides(
    open_site: Callable[..., Site],
) -> None:
    def broken() -> None:
        raise RuntimeError("password=hunter2")

    site = open_site(broken)
    answer = site.client.get("/backstop/", headers=site.as_("ada"))

    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]


def test_the_static_files_are_served(site: Site) -> None:
    for name in ("backstop.css", "backstop.js", "embedded.js", "recoverability.svg"):
        assert site.client.get(f"/backstop/static/{name}").status_code == 200
