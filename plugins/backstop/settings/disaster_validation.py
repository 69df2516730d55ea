"""Where the probes of a recovered system are asked: through its own front door, with its own connection."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from backstop.commands.probing import Surroundings
from backstop.errors import BackstopError
from backstop.wiring import cluster_connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backstop.credentials import CredentialSource
    from backstop.targets import Configuration


@contextmanager
def live_surroundings(
    configuration: Configuration, target: str, credentials: CredentialSource
) -> Iterator[Surroundings]:
    """Commands find the target's database by PGHOST and its like, and the password of the backup role in a
    0600 file while it lasts."""
    try:
        reader = cluster_connection(configuration, target, credentials)
    except BackstopError:
        yield Surroundings()
        return
    secrets = [reader.password] if reader.password else []
    with (
        tempfile.TemporaryDirectory(prefix="backstop-probe-") as folder,
        reader.child_environment(Path(folder), application_name="backstop:probe") as environment,
    ):
        led = {name: value for name, value in environment.items() if name.startswith("PG")}
        yield Surroundings(environment=led, database=lambda: reader, secrets=secrets)
