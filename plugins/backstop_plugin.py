"""Makes Backstop known to Airflow; the only module here that Airflow loads as a plugin."""

from __future__ import annotations

from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

from backstop.listeners import run_note
from backstop.ui.mount import PREFIX, recoverability

# Airflow may live below a path of its own.
_PAGE = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/") + PREFIX


class BackstopPlugin(AirflowPlugin):  # type: ignore[misc]
    # What Airflow declares as lists of the class stays such: hence the noqas.
    name = "backstop"
    listeners = [run_note]  # noqa: RUF012
    fastapi_apps = [{"name": "Backstop", "url_prefix": PREFIX, "app": recoverability()}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {
            # As long as the narrow bar has room for.
            "name": "Recovery",
            "href": f"{_PAGE}/",
            "destination": "nav",
            "url_route": "recoverability",
            "nav_top_level": True,
            "icon": f"{_PAGE}/static/recoverability.svg",
            "icon_dark_mode": f"{_PAGE}/static/recoverability-dark.svg",
        }
    ]
