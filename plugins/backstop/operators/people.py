"""Who asked and who answered, as Airflow names them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context


def requester(context: Context) -> str:
    """Who triggered this run; empty when Airflow does not know."""
    return (getattr(context["dag_run"], "triggering_user_name", None) or "").strip()


def responder(event: Mapping[str, Any]) -> str:
    """Who answered a form; empty when nobody did and a default was taken.

    :param event: what Airflow resumes a waiting task with.
    """
    user = event.get("responded_by_user") or {}
    return str(user.get("name") or user.get("id") or "").strip()


def require_requester(context: Context) -> str:
    """The requester, where a second person has to be told apart from them.

    :raises ConfigurationError: Airflow does not know who triggered the run.
    """
    name = requester(context)
    if not name:
        raise ConfigurationError(
            "Airflow does not say who triggered this run, so no one can be told to be somebody else",
            hint="trigger it from the web page or the REST API with a login of your own; "
            "without Airflow, use `python -m backstop restore-database`",
        )
    return name


def same_person(one: str, other: str) -> bool:
    """Logins are compared without regard to case: `Ann` must not approve what `ann` asked for."""
    return one.casefold() == other.casefold()
