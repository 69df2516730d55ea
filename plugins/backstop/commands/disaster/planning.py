"""From an option that somebody chose to the plan that is carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.errors import NotFoundError, RestoreError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backstop.model.incident_state import IncidentState


def planned(
    assessment: Mapping[str, Any], option_id: str, components: Sequence[str] | None
) -> dict[str, Any]:
    """Of JSON's types alone; what an approval names by its digest.

    :param components: of the option, those that shall come back; None: all of it.
    :raises RestoreError: nothing was assessed, or nothing is known to be lost.
    :raises NotFoundError: no such option, or it does not bring that component back.
    """
    if not assessment:
        raise RestoreError("nothing has been assessed yet", hint="assess first: `--options`")
    options = {one["id"]: one for one in assessment["options"]}
    if option_id not in options:
        known = ", ".join(options) or "none; see what is wrong with the repositories"
        raise NotFoundError(f"there is no option {option_id!r}", hint=f"choose one of: {known}")
    if components is None and not assessment["lost"]:
        raise RestoreError(
            "nothing is damaged, as far as can be seen, and nobody said what is lost",
            hint="say what shall come back: --component database, or --component tree:<name>",
        )
    option = options[option_id]
    there = [part["component"] for part in option["parts"]]
    wanted = list(components) if components is not None else there
    if missing := [one for one in wanted if one not in there]:
        raise NotFoundError(
            f"option {option_id} does not bring {', '.join(missing)} back",
            hint=f"it brings back: {', '.join(there)}",
        )
    parts = [part for part in option["parts"] if part["component"] in wanted]
    return {
        "incident_id": assessment["incident_id"],
        "target": assessment["target"],
        "option": option_id,
        "title": option["title"],
        "before": assessment["before"],
        "order": [part["component"] for part in parts],
        "parts": parts,
        "risk": option["risk"],
    }


def part_of(state: IncidentState, component: str, plan_sha256: str | None) -> Mapping[str, Any]:
    """What the chosen plan says of one component.

    :param plan_sha256: of the plan that was approved; None: whatever was chosen last.
    :raises RestoreError: another plan is chosen by now. :raises NotFoundError: it is not in the plan.
    """
    if not state.plan:
        raise RestoreError("nobody has chosen an option", hint="choose one: `--choose OPTION`")
    if plan_sha256 is not None and plan_sha256 != state.plan_sha256:
        raise RestoreError(
            "the plan that was approved is not the one that is chosen now; nothing was touched",
            hint="have the new plan approved, or choose the approved one again",
        )
    for part in state.plan["parts"]:
        if part["component"] == component:
            return dict(part)
    raise NotFoundError(
        f"{component} is not in the chosen plan", hint=f"it has: {', '.join(state.plan['order'])}"
    )
