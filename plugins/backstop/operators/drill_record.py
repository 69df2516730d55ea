"""What a drill found out: the checklist on what has come back, and the record of it all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from backstop.errors import BackstopError, DrillFailedError
from backstop.model.access import AccessRole
from backstop.operators.drill import DrillOperator, by_command_line
from backstop.operators.drill_wording import drill_note
from backstop.operators.expiry import as_list
from backstop.operators.links import DRILL_LINKS
from backstop.operators.note import NOTE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from backstop.commands.drill.restored import RestoredComponent
    from backstop.model.drill import DrillRecord
    from backstop.model.measured import CheckedItem


class CheckDrillOperator(DrillOperator):
    """Carry out the whole checklist on what has been restored. Says what it found, and does not judge.

    :param prepared: the result of :class:`~backstop.operators.drill.PrepareDrillOperator`; None: it failed.
    :param restored: what :class:`~backstop.operators.drill.RestoreDrillOperator` pushed.
    """

    template_fields = ("target", "plan", "prepared", "restored")
    results = ("plan", "prepared", "restored")

    def __init__(self, *, target: str, plan: Any, prepared: Any, restored: Any, **kwargs: Any) -> None:
        super().__init__(target=target, plan=plan, **kwargs)
        self.prepared = prepared
        self.restored = restored

    def carry_out(self, context: Context) -> list[dict[str, Any]]:
        from backstop.model.checked_document import checked_document

        plan = self.planned()
        if by_command_line(plan):
            raise AirflowSkipException("The command line checks what it restores")
        if self.prepared is None:
            raise AirflowSkipException("The drill was not begun")
        checked = self.engine().check(plan, restored_from(self.restored))
        for one in checked:
            self.log.info("%s %s: %s. %s", one.item, one.component, one.outcome.value, one.sentence)
        return [dict(checked_document(one)) for one in checked]


class RecordDrillOperator(DrillOperator):
    """Put what was done, found and measured into evidence and inventory, however far the drill came.

    One that was not begun, such as beside another one, is none and leaves no record.

    :param prepared: as in :class:`CheckDrillOperator`.
    :param restored: what each :class:`~backstop.operators.drill.RestoreDrillOperator` pushed.
    :param checked: the result of :class:`CheckDrillOperator`.
    :param left_behind: what :class:`~backstop.operators.drill.TearDownDrillOperator` pushed.
    :param alone: the result of :class:`~backstop.operators.drill_alone.DrillWithoutAirflowOperator`.
    """

    template_fields = ("target", "plan", "prepared", "restored", "checked", "left_behind", "alone")
    results = ("plan", "prepared", "restored", "checked", "left_behind", "alone")
    operator_extra_links = DRILL_LINKS
    drill_id: str | None = None
    """Of the drill, once it is recorded."""

    def __init__(
        self,
        *,
        target: str,
        plan: Any,
        prepared: Any,
        restored: Any,
        checked: Any,
        left_behind: Any,
        alone: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(target=target, plan=plan, **kwargs)
        self.prepared = prepared
        self.restored = restored
        self.checked = checked
        self.left_behind = left_behind
        self.alone = alone

    def carry_out(self, context: Context) -> dict[str, Any]:
        from backstop.model.drill_document import drill_document, drill_from

        plan = self.planned()
        if self.prepared is None:
            raise DrillFailedError(
                f"the drill of {self.target} was not begun, so there is nothing to record",
                hint="see the log of `prepare`, then trigger a new run",
            )
        if by_command_line(plan):
            record = drill_from(self._said_alone())
            for sentence in self._remember(record):
                self.log.warning("%s", sentence)
        else:
            record = self.engine().record(
                plan, restored_from(self.restored), checked_from_documents(self.checked), self._left()
            )
        self.drill_id = record.drill_id
        document = dict(drill_document(record))
        context["ti"].xcom_push(key=NOTE, value=drill_note(record))
        return document

    def _said_alone(self) -> Mapping[str, Any]:
        if not isinstance(self.alone, dict):
            raise DrillFailedError(
                f"the command line did not come to the end of its drill of {self.target}",
                hint="see the log of `without_airflow`; the record in the repositories says how far it came",
            )
        return self.alone

    def _remember(self, record: DrillRecord) -> list[str]:
        """The command line could not reach the inventory; that is made up for here, or by a rebuild."""
        from backstop.hooks.target import TargetHook
        from backstop.repository.drills import store_drill

        try:
            if (inventory := TargetHook(self.target, AccessRole.VERIFIER).inventory()) is not None:
                store_drill(inventory, record)
        except BackstopError as error:
            return [f"The inventory does not know drill {record.drill_id} yet: {error}"]
        return []

    def _left(self) -> tuple[str, ...]:
        if isinstance(self.left_behind, list):
            return tuple(self.left_behind)
        return ("whether anything is left is not known: `tear_down` came to no end",)


def restored_from(pushed: Any) -> list[RestoredComponent]:
    """What mapped tasks pushed; Airflow hands a single one on without a list around it."""
    from backstop.commands.drill.restored import RestoredComponent

    return [RestoredComponent.from_dict(one) for one in as_list(pushed)]


def checked_from_documents(documents: Any) -> list[CheckedItem]:
    """The result of :class:`CheckDrillOperator`; every line that it says nothing of was not done.

    A checklist that was killed must not pass for one on which nothing was found.
    """
    from backstop.model.checked_document import checked_from
    from backstop.model.drill import CHECKLIST
    from backstop.model.measured import CheckedItem, Outcome

    found = [checked_from(one) for one in documents or ()]
    said = {one.item for one in found}
    missing = [item for item in CHECKLIST if item not in said]
    return found + [
        CheckedItem(item, "", Outcome.NOT_DONE, "`check` came to no end: see its log") for item in missing
    ]
