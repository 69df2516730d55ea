"""Whether what failed runs reported is over: asked of Airflow, for the few that are open."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backstop.model.finding_state import OpenFinding
    from backstop.repository.findings import Findings

log = logging.getLogger(__name__)

FORGET_BY_HAND = timedelta(hours=4)
"""A procedure that somebody started failed in front of them; it is not there to succeed tomorrow."""
FORGET = timedelta(days=45)
"""A DAG that has neither failed nor succeeded for so long does not exist any more."""


class Runs(Protocol):
    """What a running task can ask Airflow about other runs."""

    def get_dr_count(self, dag_id: str, *, states: list[str]) -> int: ...
    def get_dagrun_state(self, dag_id: str, run_id: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Settled:
    """What is over, and what nobody waits for any more."""

    mended: int = 0
    forgotten: int = 0


def close_mended_runs(findings: Findings, runs: Runs, *, now: datetime) -> Settled:
    """Close what a later success, or the repair of the failed run itself, has mended.

    :raises SourceUnavailableError: the inventory does not answer.
    """
    from airflow.sdk.exceptions import AirflowRuntimeError

    mended = forgotten = 0
    for state in findings.open():
        if state.finding.check != "run":
            continue
        try:
            if is_mended(state, runs):
                findings.close(state.finding, now=now)
                mended += 1
            elif now - state.last_seen_at >= (FORGET_BY_HAND if state.facts.get("by_hand") else FORGET):
                findings.drop(state.finding, now=now)
                forgotten += 1
            else:
                _count_anew(findings, state, runs)
        except AirflowRuntimeError as error:
            # The next watch asks again. Everything else must be told meanwhile.
            log.warning("Airflow does not say how %s stands: %s", state.finding.subject, error)
    return Settled(mended, forgotten)


def _count_anew(findings: Findings, state: OpenFinding, runs: Runs) -> None:
    """Where nobody has counted its successes yet, or old runs have been removed since: what counts is that
    one more than now has succeeded."""
    if state.facts.get("until_ended"):
        return
    count, known = runs.get_dr_count(_dag_id(state), states=["success"]), state.facts.get("successes")
    if not isinstance(known, int) or count < known:
        findings.remember(state.finding, {"successes": count})


def _dag_id(state: OpenFinding) -> str:
    return str(state.facts.get("dag_id") or state.finding.subject)


def is_mended(state: OpenFinding, runs: Runs) -> bool:
    """Whether its run has succeeded after all, or another one has since."""
    facts, dag_id = state.facts, _dag_id(state)
    own = _state_of(runs, dag_id, facts)
    if facts.get("until_ended"):
        return own in ("success", "failed", None)
    successes = facts.get("successes")
    if own == "success":
        return True
    return isinstance(successes, int) and runs.get_dr_count(dag_id, states=["success"]) > successes


def _state_of(runs: Runs, dag_id: str, facts: Mapping[str, Any]) -> str | None:
    """None: somebody has removed that run. :raises AirflowRuntimeError: Airflow does not say."""
    from airflow.sdk.exceptions import AirflowRuntimeError

    try:
        return str(runs.get_dagrun_state(dag_id, str(facts.get("run_id"))))
    except AirflowRuntimeError as error:
        if (error.error.detail or {}).get("status_code") != 404:
            raise
        return None
