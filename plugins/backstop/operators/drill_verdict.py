"""What a drill showed, as red and green: each item of the checklist by itself, then the drill as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk.exceptions import AirflowSkipException

from backstop.errors import DrillFailedError
from backstop.model.canonical import format_time
from backstop.operators.base import BackstopOperator
from backstop.operators.drill_wording import shortfalls, verdict, worst
from backstop.operators.links import DRILL_LINKS

if TYPE_CHECKING:
    from airflow.sdk import Context

    from backstop.model.drill import DrillRecord


class RecordedDrillOperator(BackstopOperator):
    """A step after the record.

    :param record: the result of :class:`~backstop.operators.drill.RecordDrillOperator`.
    """

    template_fields: tuple[str, ...] = ("target", "record")
    results: tuple[str, ...] = ("record",)
    operator_extra_links = DRILL_LINKS
    drill_id: str | None = None

    def __init__(self, *, target: str, record: Any, **kwargs: Any) -> None:
        super().__init__(target=target, **kwargs)
        self.record = record

    def recorded(self) -> DrillRecord:
        self.take_results()
        record = recorded_from(self.record, self.target)
        self.drill_id = record.drill_id
        return record


class ChecklistItemOperator(RecordedDrillOperator):
    """One line of the checklist: red when it failed anywhere or was not done, with what was found.

    :param item: a key of :data:`~backstop.model.drill.CHECKLIST`.
    """

    template_fields = ("target", "record", "item")

    def __init__(self, *, target: str, record: Any, item: str, **kwargs: Any) -> None:
        super().__init__(target=target, record=record, **kwargs)
        self.item = item

    def carry_out(self, context: Context) -> dict[str, str]:
        from backstop.model.drill import CHECKLIST
        from backstop.model.measured import Outcome

        record = self.recorded()
        found = [one for one in record.checklist if one.item == self.item]
        wrong = []
        for one in found:
            said = f"{one.component or 'all'}: {one.sentence}"
            if one.outcome in (Outcome.FAILED, Outcome.NOT_DONE):
                wrong.append(f"{said} ({one.outcome.value})")
            for line in (said, *one.details):
                self.log.info("%s", line)
        outcome = worst(found)
        if outcome is Outcome.NOT_APPLICABLE:
            raise AirflowSkipException("; ".join(one.sentence for one in found))
        if outcome is not Outcome.PASSED:
            raise DrillFailedError(
                f"{CHECKLIST[self.item]}: " + ("; ".join(wrong) or "nothing was checked"),
                hint=drill_again(record),
            )
        return {"item": self.item, "outcome": outcome.value}


class JudgeDrillOperator(RecordedDrillOperator):
    """Fail unless everything came back within its objectives, every check passed and nothing is left."""

    def carry_out(self, context: Context) -> dict[str, Any]:
        record = self.recorded()
        if wrong := shortfalls(record):
            raise DrillFailedError(
                f"drill {record.drill_id} of {record.target} {verdict(record)}: {'; '.join(wrong)}",
                hint=drill_again(record),
            )
        self.log.info("Drill %s passed", record.drill_id)
        return {"drill_id": record.drill_id, "objectives_met": record.objectives_met}


class DrillStepsOperator(EmptyOperator):  # type: ignore[misc]
    """Nothing by itself: as red as the steps before it are, whatever was recorded of them and signed off."""


def drill_again(record: DrillRecord) -> str:
    """How to see that what is wrong has been mended."""
    moment = format_time(record.disaster_at)
    return f"mend what is named, then trigger it again: scenario {record.scenario}, moment {moment}"


def recorded_from(document: Any, target: str) -> DrillRecord:
    """:raises DrillFailedError: there is no record, as when that task was marked as successful by hand."""
    from backstop.model.drill_document import drill_from

    if not isinstance(document, dict):
        raise DrillFailedError(
            f"no drill of {target} was recorded", hint="clear `record`, or trigger a new run"
        )
    return drill_from(document)
