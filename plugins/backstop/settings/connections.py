"""Which connections a recovery needs: those of repositories and keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.wiring import every_repository, find_target

if TYPE_CHECKING:
    from backstop.targets import Configuration


def connections_for_recovery(configuration: Configuration, target: str) -> list[str]:
    """Ids of Airflow connections, each once.

    Not among them: the inventory's, the live servers', and those of whom anybody is told by.
    """
    repositories = [configuration.repositories[name] for name in every_repository(configuration, target)]
    keys = configuration.keys[find_target(configuration, target).keys]
    found = [getattr(one, "conn_id", None) for one in (*repositories, keys)]
    return list(dict.fromkeys(name for name in found if name is not None))
