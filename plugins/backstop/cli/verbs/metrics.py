"""``metrics``: what the newest watch saw, as Prometheus reads it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from backstop import __version__
from backstop.cli.output import print_json
from backstop.credentials import default_credentials
from backstop.errors import BackstopError, ConfigurationError
from backstop.model.access import AccessRole
from backstop.settings.arguments import utc_now
from backstop.targets import load_targets
from backstop.wiring import inventory_connection

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from prometheus_client.core import Metric


def metrics(arguments: argparse.Namespace) -> int:
    """An inventory that does not answer leaves no file: what is old must not look like now."""
    from backstop.commands.metrics.exposition import exposition, samples

    output: Path | None = arguments.output
    try:
        families = list(_families(arguments.targets))
    except BackstopError:
        if output is not None:
            output.unlink(missing_ok=True)
        raise
    text, _ = exposition(families)
    if output is not None:
        _replace(output, text)
    elif arguments.json:
        print_json(samples(families))
    else:
        print(text.decode(), end="")
    return 0


def _families(targets: Path | None) -> Iterable[Metric]:
    from backstop.commands.metrics.families import metric_families
    from backstop.commands.metrics.reading import Reader

    configuration = load_targets(targets)
    connection = inventory_connection(configuration, default_credentials(AccessRole.AUDITOR))
    if connection is None:
        raise ConfigurationError(
            "targets.yaml names no inventory", hint="add inventory: {conn_id: …} with its owner's connection"
        )
    observations, findings = Reader().read(connection)
    return metric_families(
        observations, findings, now=utc_now(), targets=configuration.known_targets, version=__version__
    )


def _replace(path: Path, text: bytes) -> None:
    # A collector that reads while we write sees the former file or the new one, whole. It runs as somebody
    # else, so the file is open to readers.
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(text)
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written: {error.strerror}",
            hint="name a file in a directory that exists and that this user may write to",
        ) from error
