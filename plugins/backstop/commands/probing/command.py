"""A program that must exit 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.commands.target_command import environment_elsewhere, run_command, without_secrets
from backstop.model.figures import duration_in_words
from backstop.model.measured import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backstop.targets.probes import CommandProbe


def ask_command(
    probe: CommandProbe, *, environment: Mapping[str, str], secrets: Sequence[str]
) -> tuple[Outcome, str, tuple[str, ...]]:
    """Outcome, sentence, and the last lines of what it wrote where it failed."""
    try:
        end = run_command(
            probe.command, environment=environment_elsewhere(environment), timeout=probe.timeout
        )
    except OSError as error:
        return Outcome.FAILED, f"{_named(probe)} cannot be run: {error.strerror}", ()
    if end.status == 0:
        return Outcome.PASSED, f"probe {probe.name!r}: {probe.command[0]} exited with 0", ()
    details = tuple(without_secrets(end.tail, secrets).splitlines())
    if end.status is None:
        within = duration_in_words(probe.timeout)
        return Outcome.FAILED, f"{_named(probe)} did not end within {within}", details
    return Outcome.FAILED, f"{_named(probe)} exited with {end.status}", details


def _named(probe: CommandProbe) -> str:
    return f"probe {probe.name!r}: {probe.command[0]}"
