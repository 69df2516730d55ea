"""Puts who asked and who approved into the inventory, whatever came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.errors import BackstopError
from backstop.model.access import AccessRole
from backstop.model.decision import Answer, Decision
from backstop.operators.people import requester, responder

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping

    from airflow.sdk import Context


def answer_of(event: Mapping[str, Any], *, consent: str) -> Answer:
    """What somebody answered, where it was not enough to go on.

    :param event: what Airflow resumes a waiting task with. :param consent: the button that lets it go on.
    """
    if "error" in event:
        return Answer.UNANSWERED
    return Answer.REFUSED if event.get("chosen_options") == [consent] else Answer.REJECTED


def record_decision(
    context: Context,
    answer: Answer,
    *,
    target: str,
    procedure: str,
    question: str,
    plan_sha256: str,
    answered_by: str = "",
    because: str = "",
    log: logging.Logger,
) -> None:
    """Enter one answer. An inventory that does not take it is said in the log and holds nothing up."""
    from backstop.hooks.target import TargetHook
    from backstop.repository.decisions import Decisions
    from backstop.settings.arguments import utc_now

    run = context["dag_run"]
    decision = Decision(
        target=target,
        procedure=procedure,
        question=question,
        answer=answer,
        asked_by=requester(context),
        answered_by=answered_by,
        decided_at=utc_now(),
        because=because,
        plan_sha256=plan_sha256,
        dag_id=str(getattr(run, "dag_id", "")),
        run_id=str(getattr(run, "run_id", "")),
    )
    try:
        inventory = TargetHook(target, AccessRole.RESTORER).inventory()
        if inventory is None:
            return
        inventory.migrate()
        Decisions(inventory.connection).record(decision)
    except BackstopError as error:
        log.warning("This decision is not in the inventory: %s", error.message)


def record_refusal(
    context: Context, event: Mapping[str, Any], error: BackstopError, *, consent: str, **known: Any
) -> None:
    """The same for an answer that lets nothing go on. :param known: as of :func:`record_decision`."""
    record_decision(
        context,
        answer_of(event, consent=consent),
        answered_by=responder(event),
        because=error.message,
        **known,
    )
