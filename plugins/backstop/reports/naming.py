"""What reports call components, phases and steps."""

from __future__ import annotations

from backstop.model.incident_record import VALIDATION

_COMPONENTS = {"base": "cluster", "dump": "database dump"}
_STEPS = {
    "assess": "Assess the damage",
    "choose": "Choose a plan",
    "tell:start": "Tell people that it began",
    "tell:progress": "Tell people how it goes",
    "tell:end": "Tell people that it ended",
    "infrastructure": "Provide the infrastructure",
    "recover": "Recover",
    "validate": "Validate",
    "record": "Record the incident",
}
PHASES = {
    "detect": "detect",
    "assess": "assess",
    "fetch": "fetch",
    "replay": "replay WAL",
    "restore": "restore",
    "compare": "compare",
    "probe": "probe",
    "validate": "validate",
}
"""Those with a look of their own, in the order in which they happen."""


def component_in_words(component: str) -> str:
    """``base`` to ``cluster``, ``tree:media`` to ``files: media``; empty: everything."""
    kind, colon, name = component.partition(":")
    if colon and kind == "tree":
        return f"files: {name}"
    return _COMPONENTS.get(component, component) or "everything"


def step_in_words(step: str) -> str:
    """``recover:tree:media`` to ``Recover files: media``."""
    if step in _STEPS:
        return _STEPS[step]
    kind, _, rest = step.partition(":")
    if kind == "recover":
        return f"Recover {component_in_words(rest)}"
    if kind == "validate":
        return VALIDATION.get(rest, f"Validate {rest}")
    return step
