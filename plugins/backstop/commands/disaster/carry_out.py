"""One step after another, as far as it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.errors import BackstopError
from backstop.model.incident_state import BEFORE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from backstop.commands.disaster.engine import Disaster


def carry_out(
    disaster: Disaster,
    *,
    redo: Collection[str] = (),
    begins: Callable[[str], None] = lambda step: None,
    ended: Callable[[str, dict[str, Any] | BackstopError], None] = lambda step, end: None,
) -> dict[str, BackstopError]:
    """Do what is left of an incident whose plan is chosen, and close it when all of it is done.

    A component that does not come back does not hold up those after it; but nothing is validated, and no end
    is told, before all are back or left out. People who cannot be told hold up nothing.

    :param redo: steps to be done although they have passed or were left out.
    :param begins: told of each step before it; :param ended: with its result, or why it failed.
    :returns: by step that failed: why. Empty: the incident is closed.
    """
    failed: dict[str, BackstopError] = {}
    for step in disaster.steps():
        if failed and not _goes_on(step, next(reversed(failed))):
            break
        begins(step)
        try:
            result = disaster.run(step, redo=step in redo)
        except BackstopError as error:
            failed[step] = error
            ended(step, error)
        else:
            ended(step, result)
    if not failed:
        outcome = disaster.state().step("record").facts.get("outcome", "nothing was recorded")
        disaster.close(outcome=str(outcome))
    return failed


def _goes_on(step: str, failed: str) -> bool:
    """Whether a step is done although another one failed: one of the same kind is."""
    kind = step.partition(":")[0]
    return failed not in BEFORE and kind in ("recover", "validate") and failed.startswith(f"{kind}:")
