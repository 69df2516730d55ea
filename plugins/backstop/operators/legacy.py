"""Backups that scripts made before Backstop: proven, and retired as new ones take their place."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk.exceptions import AirflowSkipException

from backstop.errors import BackstopError, ConfigurationError, IntegrityError, StorageError, VerificationError
from backstop.model.access import AccessRole
from backstop.operators.base import BackstopOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from backstop.commands.legacy.known import LegacyStock
    from backstop.commands.legacy.places import Place
    from backstop.commands.legacy.retire import Retirement
    from backstop.hooks.target import TargetHook
    from backstop.repository.legacy_records import LegacyRecords

_SHOWN = 50


class _LegacyOperator(BackstopOperator):
    role: ClassVar[AccessRole]

    def open(self) -> tuple[TargetHook, list[Place], dict[str, LegacyRecords], LegacyStock]:
        """The target, its places, what is recorded of them, and what there is."""
        from backstop.commands.legacy.known import look_at
        from backstop.hooks.target import TargetHook

        hook = TargetHook(self.target, self.role)
        places, records = hook.legacy()
        return hook, places, records, look_at(places, records)


class ListLegacyOperator(_LegacyOperator):
    """Say what is left; fail, by name, for every place nobody can read and every proof nobody can trust."""

    role = AccessRole.VERIFIER

    def carry_out(self, context: Context) -> dict[str, int]:
        _, _, _, stock = self.open()
        for known in stock.found:
            self.log.info("%s: %s", known.backup.location, known.state)
        if stock.failed:
            retryable = [error for error in stock.failed.values() if error.retryable]
            if retryable:
                raise retryable[0]
            raise StorageError(
                "; ".join(error.message for error in stock.failed.values()),
                hint="correct `legacy` in targets.yaml; what else there is was proven and retired meanwhile",
            )
        if stock.unreadable:
            raise IntegrityError(
                "; ".join(error.message for error in stock.unreadable), hint="find out who wrote them"
            )
        states = [known.state for known in stock.found]
        return {state: states.count(state) for state in ("proven", "unproven", "failed")}


class VerifyLegacyOperator(_LegacyOperator):
    """Restore what is unproven into scratch, newest first, one at a time, and record proofs.

    :param at_most: how many in this run; templated.
    """

    role = AccessRole.VERIFIER
    template_fields = ("target", "at_most")

    def __init__(self, *, target: str, at_most: str, **kwargs: Any) -> None:
        super().__init__(target=target, **kwargs)
        self.at_most = at_most

    def carry_out(self, context: Context) -> dict[str, list[str]]:
        from backstop.commands.legacy.verify import verify_legacy
        from backstop.operators.progress import LoggedProgress
        from backstop.settings.arguments import utc_now
        from backstop.settings.proof import verify_settings

        at_most = _count(self.at_most)
        hook, _, records, stock = self.open()
        settings = verify_settings(hook.configuration, self.target, hook.repositories(), server=None)
        signer = hook.signer("proof")
        proven: list[str] = []
        wrong: list[str] = []
        failures: list[BackstopError] = []
        work = stock.unproven()[:at_most]
        for known in work:
            location = known.backup.location
            progress = LoggedProgress(self.log)
            try:
                proof = verify_legacy(
                    known.place,
                    known.backup,
                    records=records[known.backup.repository],
                    signer=signer,
                    settings=settings,
                    clock=utc_now,
                    progress=progress,
                )
            except BackstopError as error:
                # Newest first: what cannot be judged must not keep the older ones from their turn.
                self.log.error("%s could not be judged: %s", location, error)
                failures.append(_of(location, error))
                continue
            progress.finish()
            proven += [location] if proof.matched else []
            wrong += [_naming(location, difference) for difference in proof.differences]
        if not work:
            raise AirflowSkipException(stock.without_work())
        _raise_for(wrong, failures)
        return {"proven": proven[:_SHOWN]}


def _count(text: str) -> int:
    """:raises ConfigurationError: it is no number of files."""
    if not (text.isascii() and text.isdigit()):
        raise ConfigurationError(
            f"at_most is {text!r}, and must be a number, 0 or more", hint="trigger the DAG with another one"
        )
    return int(text)


def _of(location: str, error: BackstopError) -> BackstopError:
    named = BackstopError(_naming(location, error.message), hint=error.hint)
    named.retryable = error.retryable
    return named


def _naming(location: str, sentence: str) -> str:
    return sentence if location in sentence else f"{location}: {sentence}"


def _raise_for(wrong: list[str], failures: list[BackstopError]) -> None:
    unjudged = "; ".join(error.message for error in failures[:_SHOWN])
    if wrong:
        also = f". Could not be judged: {unjudged}" if failures else ""
        raise VerificationError(
            "not to be restored: " + "; ".join(wrong[:_SHOWN]) + also,
            hint="it is recorded; the others are as they were. Clear this task to go on with the rest",
        )
    if failures:
        error = BackstopError(f"could not be judged: {unjudged}", hint=failures[0].hint)
        error.retryable = any(failure.retryable for failure in failures)
        raise error


class PlanRetirementOperator(_LegacyOperator):
    """Decide which legacy backups retention lets go, and why the others stay. Changes nothing."""

    role = AccessRole.EXPIRER

    def carry_out(self, context: Context) -> dict[str, Any]:
        hook, places, records, stock = self.open()
        plans = _plans(hook, places, records, stock)
        for plan in plans:
            for decision in plan.decisions:
                verdict = "stays" if decision.keep else "may go"
                self.log.info("%s %s: %s", decision.backup.location, verdict, "; ".join(decision.reasons))
        going = [decision.backup for plan in plans for decision in plan.going]
        return {
            "may_go": len(going),
            "bytes": sum(backup.size_bytes for backup in going),
            "names": [backup.location for backup in going][:_SHOWN],
        }


class RetireLegacyOperator(_LegacyOperator):
    """Remove what may go now; skipped unless ``legacy.retire`` of targets.yaml says so."""

    role = AccessRole.EXPIRER

    def carry_out(self, context: Context) -> dict[str, Any]:
        from backstop.commands.legacy.retire import RetireReport, carry_out

        hook, places, records, stock = self.open()
        legacy = hook.target.legacy
        if legacy is None or not legacy.retire:
            raise AirflowSkipException(
                "legacy.retire is false in targets.yaml; `python -m backstop expire-legacy` removes them"
            )
        report = RetireReport()
        try:
            for plan in _plans(hook, places, records, stock):
                carry_out(plan, records=records[plan.place.kind.repository], report=report)
        finally:
            # Also of a run that failed half way.
            removed = [backup.location for backup in report.removed]
            for location in removed:
                self.log.info("Removed %s", location)
        kept = report.kept
        if kept:
            raise BackstopError("not removed: " + "; ".join(kept[:_SHOWN]), hint="see each sentence")
        return {"removed": len(removed), "names": removed[:_SHOWN]}


def _plans(
    hook: TargetHook, places: list[Place], records: dict[str, LegacyRecords], stock: LegacyStock
) -> list[Retirement]:
    from backstop.commands.legacy.retire import plan_retirements
    from backstop.settings.arguments import utc_now
    from backstop.settings.retention import retention_policies

    return plan_retirements(
        places,
        stock,
        records=records,
        policies=partial(retention_policies, hook.configuration, hook.name),
        now=utc_now(),
    )
