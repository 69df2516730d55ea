"""Tells of runs and tasks that failed: the failure callbacks of every DAG.

A task's own callback runs on its worker, at once and with the exception. What a worker cannot tell any more,
because it was killed, and what fails without a task, the DAG's callback tells from the DAG processor. Both
open the same finding, ``run`` of this DAG, which people hear of once; the watch closes it when a later run
has succeeded (:mod:`backstop.operators.runs`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)

_LINE = 400


def task_failed(context: Mapping[str, Any]) -> None:
    """``on_failure_callback`` of every task of ours."""
    ti, task = context["ti"], context.get("task")
    if _does_not_count(task):
        return
    line, hint = _what_happened(context.get("exception"))
    number = getattr(ti, "map_index", None)
    where = ti.task_id if number is None or number < 0 else f"{ti.task_id} [{number}]"
    report_run(
        context,
        sentence=f"{ti.dag_id} failed in task {where}: {line}",
        hint=hint,
        facts=_successes(ti),
    )


def run_failed(context: Mapping[str, Any]) -> None:
    """``on_failure_callback`` of every DAG: says what no task could say."""
    if _was_refused(context):
        return
    dag_id, run_id = _dag_id(context), str(context.get("run_id"))
    if not _is_known(target_of(context), dag_id, run_id):
        reason = str(context.get("reason") or "a task failed").replace("_", " ")
        report_run(context, sentence=f"{dag_id} failed ({reason}): {run_id}")


def report_run(
    context: Mapping[str, Any],
    *,
    sentence: str,
    hint: str = "",
    subject: str = "",
    facts: Mapping[str, object] | None = None,
) -> None:
    """Open the finding ``run`` of this DAG, and tell of it at once.

    :param hint: the next step; by default, to read what the DAG says of its red tasks.
    :param subject: something else than the DAG.
    :param facts: what the watch needs to see that it is over.
    :raises Exception: somebody could not be told.
    """
    from backstop.model.finding import Finding
    from backstop.model.procedure import level_of_run
    from backstop.notifications.telling import tell_at_once

    dag_id = _dag_id(context)
    finding = Finding(
        target=target_of(context),
        check="run",
        subject=subject or dag_id,
        level=level_of_run(dag_id),
        sentence=sentence,
        next_step=hint or f"open the run; {dag_id} says under Docs what each red task means",
    )
    tell_at_once(finding, {**_facts(context), **(facts or {})}, context)


def target_of(context: Mapping[str, Any]) -> str:
    """Which target the run is about: its DAG's, or what its parameters say; ``*``: no single one."""
    from backstop.errors import BackstopError
    from backstop.model.finding import EVERY_TARGET
    from backstop.model.procedure import target_of_dag
    from backstop.targets import load_targets

    run = context.get("dag_run")
    conf = (run.get("conf") if isinstance(run, dict) else getattr(run, "conf", None)) or {}
    try:
        known = load_targets().known_targets
    except BackstopError:  # said where it is used
        known = []
    # What the run was told counts first: the end of a shared DAG's id is a queue.
    for name in (conf.get("target"), (context.get("params") or {}).get("target")):
        if isinstance(name, str) and name in known:
            return name
    return target_of_dag(_dag_id(context), known) or EVERY_TARGET


def _dag_id(context: Mapping[str, Any]) -> str:
    dag, run = context.get("dag"), context.get("dag_run")
    if dag is not None:
        return str(dag.dag_id)
    return str(run.get("dag_id") if isinstance(run, dict) else getattr(run, "dag_id", "unknown"))


def _facts(context: Mapping[str, Any]) -> dict[str, object]:
    """What closing it needs, and where people look."""
    from urllib.parse import quote

    from backstop.notifications.alert import airflow_url

    dag, run_id = context.get("dag"), str(context.get("run_id") or "")
    root = airflow_url()
    facts: dict[str, object] = {"run_id": run_id, "by_hand": getattr(dag, "schedule", None) is None}
    if root:
        facts["url"] = f"{root.rstrip('/')}/dags/{quote(_dag_id(context))}/runs/{quote(run_id)}"
    return facts


def _successes(ti: Any) -> dict[str, object]:
    """How many runs of the DAG have succeeded: one more, and it is mended."""
    try:
        return {"successes": ti.get_dr_count(dag_id=ti.dag_id, states=["success"])}
    except Exception as error:  # the watch counts them later
        log.warning("The runs of %s cannot be counted: %s", ti.dag_id, error)
        return {}


def _what_happened(error: object) -> tuple[str, str]:
    """The first line, and the next step where the error names one."""
    from airflow.sdk.log import redact

    from backstop.errors import BackstopError
    from backstop.model.words import hosts_only

    cause = getattr(error, "__cause__", None)
    ours = next((one for one in (error, cause) if isinstance(one, BackstopError)), None)
    text = ours.message if ours else hosts_only(str(error or "")) or "its worker did not say why"
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [type(error).__name__]
    return str(redact(lines[0]))[:_LINE], str(redact(ours.hint)) if ours else ""


def _does_not_count(task: Any) -> bool:
    """A teardown whose failure leaves the run as it is."""
    return bool(getattr(task, "is_teardown", False)) and not getattr(task, "on_failure_fail_dagrun", False)


def _was_refused(context: Mapping[str, Any]) -> bool:
    """Somebody said no, or nobody answered: that is an end, and no failure."""
    from airflow.providers.standard.operators.hitl import HITLOperator

    return isinstance(context.get("task"), HITLOperator)


def _is_known(target: str, dag_id: str, run_id: str) -> bool:
    """Whether a task of this run has reported it, with more to say."""
    from backstop.errors import BackstopError
    from backstop.notifications.telling import open_findings
    from backstop.targets import load_targets

    try:
        findings = open_findings(load_targets())
        known = findings.open(target) if findings else ()
    except BackstopError:
        return False
    return any(
        one.finding.check == "run" and one.finding.subject == dag_id and one.facts.get("run_id") == run_id
        for one in known
    )
