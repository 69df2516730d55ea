"""Which disasters of a target can be rehearsed, as forms and flags offer them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.model.drill_rotation import scenarios_of as possible
from backstop.wiring.repositories import every_repository

if TYPE_CHECKING:
    from backstop.targets import Configuration


def scenarios_of(configuration: Configuration, target: str) -> dict[str, str]:
    """Each as ``targets.yaml`` writes it, with its sentence."""
    section = configuration.targets[target]
    found = possible(
        database=True, trees=tuple(section.trees), repositories=every_repository(configuration, target)
    )
    return {str(one): one.sentence for one in found}
